/// Runs passes on IR of any stage: mlir-opt with Ingot's dialect and passes.
#include "codegen/Passes.h"
#include "codegen/Target.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Dialects.h"
#include "passes/Passes.h"
#include "passes/schedule/ScheduleKernels.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  ingot::registerDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  // Before all others, which would register them without a target.
  mlir::registerPass([] { return ingot::createPackWeights(ingot::parseTarget); });
  mlir::registerPass([] { return ingot::createScheduleKernels(ingot::parseTarget); });
  mlir::registerPass([] { return ingot::createLowerKernels(ingot::parseTarget); });
  ingot::registerIngotPasses();
  ingot::registerIngotCodegenPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Ingot's optimizer driver\n", registry));
}
