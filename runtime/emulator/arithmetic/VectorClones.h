#pragma once

/// Compiles a function once for each level of vector width; the loader picks the host's. Results do
/// not depend on the choice: floating-point code is never contracted.
#if defined(__x86_64__) && defined(__linux__)
#define INGOT_VECTOR_CLONES                                                                        \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define INGOT_VECTOR_CLONES
#endif
