/// Runs passes on IR of any stage: mlir-opt with Ingot's dialect and passes.
#include "codegen/Passes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Dialects.h"
#include "passes/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  ingot::registerDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  ingot::registerIngotPasses();
  ingot::registerIngotCodegenPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Ingot's optimizer driver\n", registry));
}
