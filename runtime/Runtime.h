/// What a program needs to run and train compiled `.ingot` files with the runtime alone: no MLIR,
/// no LLVM. Installed as `<ingot/Runtime.h>`; links `Ingot::Runtime`.
///
///     auto program = ingot::Program::load("step.ingot");
///     auto device = ingot::openDevice("cpu", {.threads = 2});
///     auto session = (*device)->load(std::make_shared<const ingot::Program>(std::move(*program)));
#pragma once
#include "runtime/data/ArraySource.h"
#include "runtime/data/RandomSource.h"
#include "runtime/data/TextSource.h"
#include "runtime/program/DLPack.h"
#include "runtime/program/Device.h"
#include "runtime/program/Profile.h"
#include "runtime/training/Generate.h"
#include "runtime/training/Progress.h"
#include "runtime/training/Trainer.h"
