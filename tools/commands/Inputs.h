/// What a command line names: a model, a compiled program or a checkpoint, told apart by contents.
#pragma once
#include "frontend/api/Model.h"
#include "frontend/onnx/OnnxFile.h"
#include "runtime/program/Program.h"
#include "runtime/training/Checkpoint.h"

namespace ingot {

enum class InputKind {
  Program,    ///< a compiled program, as `ingot compile -o` writes it
  Checkpoint, ///< a checkpoint, weights of another program, or a directory with one of them
  Onnx,       ///< a model in ONNX's form
  Model,      ///< anything else: the text of a model, if it is one
};

/// Looks at the first bytes of a file, `-` for standard input. What cannot be read counts as a
/// model: reading it says why.
InputKind kindOfInput(const std::string &path);

/// These take a path, or `-` for standard input; an input of another kind is an error that says
/// what it is and which commands take it.
Result<Model> openModel(const std::string &path);
Result<Program> openProgram(const std::string &path);
Result<Checkpoint> openCheckpoint(const std::string &path);

/// Writes a `.ingot` file, `-` for standard output unless that is a terminal.
Status writeProgram(const Program &program, const std::string &path);

} // namespace ingot
