# Writes OUTPUT, a header that identifies the code generator: a hash of the sources under ROOT that
# decide on generated code, and of LLVM's VERSION. Unlike a linker's build ID it is the same for
# every executable that holds the same generator.
set(globs)
foreach(folder ir passes codegen)
  foreach(ending cpp h td)
    list(APPEND globs ${ROOT}/${folder}/*.${ending})
  endforeach()
endforeach()
file(GLOB_RECURSE files RELATIVE ${ROOT} ${globs})
list(SORT files)
set(contents "${VERSION}")
foreach(file ${files})
  file(SHA256 ${ROOT}/${file} hash)
  string(APPEND contents "${file} ${hash}\n")
endforeach()
string(SHA256 id "${contents}")
file(WRITE ${OUTPUT} "#define INGOT_CODE_GENERATOR_ID \"${id}\"\n")
