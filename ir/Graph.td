//===- Graph.td - the graph dialect: all of its ops ------------------------------------------===//
#ifndef INGOT_IR_GRAPH
#define INGOT_IR_GRAPH

include "ir/Elementwise.td"
include "ir/Movement.td"
include "ir/Reduction.td"
include "ir/Composite.td"
include "ir/Control.td"

#endif
