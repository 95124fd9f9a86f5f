//===- Graph.td - the graph dialect: all of its ops ------------------------------------------===//
#ifndef INGOT_IR_GRAPH
#define INGOT_IR_GRAPH

include "ir/dialect/Elementwise.td"
include "ir/dialect/Movement.td"
include "ir/dialect/Reduction.td"
include "ir/dialect/Composite.td"
include "ir/dialect/Control.td"

#endif
