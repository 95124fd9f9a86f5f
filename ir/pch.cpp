// Compiles the precompiled header and nothing else.
