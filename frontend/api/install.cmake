# What `cmake --install` puts where: archives, public headers, find_package(Ingot); with the compiler also the tools, and
# the two libraries of LLVM that they and consumers of Ingot::Ingot need. No path of the build machine is left in it: the
# prefix may be moved or packed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The headers that <ingot/Runtime.h> and <ingot/Ingot.h> reach; test_install.py compares. None has a type of MLIR's or LLVM's.
set(public_headers
  runtime/Runtime.h
  runtime/cpu/MachineLimits.h
  runtime/data/ArraySource.h runtime/data/BatchSource.h runtime/data/RandomSource.h runtime/data/TextSource.h
  runtime/data/Tokenizer.h
  runtime/program/DLPack.h runtime/program/Device.h runtime/program/Layout.h runtime/program/NamedTensor.h runtime/program/NonFinite.h
  runtime/program/PersistentLayout.h runtime/program/Profile.h runtime/program/Program.h runtime/program/Role.h
  runtime/program/Store.h runtime/program/Tensor.h runtime/program/TensorTools.h
  runtime/support/Bounds.h runtime/support/Fields.h runtime/support/Json.h runtime/support/OnNonFinite.h runtime/support/Result.h
  runtime/training/Checkpoint.h runtime/training/DirectoryLock.h runtime/training/Generate.h
  runtime/training/LossHistory.h runtime/training/Progress.h
  runtime/training/Safetensors.h runtime/training/Schedule.h runtime/training/StepDriver.h runtime/training/Trainer.h runtime/training/TrainingLoop.h)
set(libraries ingot_runtime)
if(INGOT_COMPILER)
  list(APPEND public_headers
    frontend/api/Ingot.h frontend/api/Model.h frontend/builder/Builder.h frontend/families/Models.h
    ir/formulas/Formulas.def ir/formulas/Primitives.def ir/formulas/Reductions.def
    passes/options/LossNumbers.h passes/options/Losses.def passes/options/Optimizers.def passes/options/ParameterGroup.h passes/options/TrainingOptions.h)
  list(APPEND libraries ingot_frontend ingot_codegen ingot_passes ingot_ir)
endif()

foreach(library ${libraries})
  install(FILES $<TARGET_FILE:${library}> DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
# Ingot's own headers name each other from the root of its tree, which is include/ingot here.
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/ingot)
foreach(header ${public_headers})
  get_filename_component(folder ${header} DIRECTORY)
  if(header MATCHES "/(Ingot|Runtime)\\.h$")
    set(folder "") # what consumers include: <ingot/Ingot.h>
  endif()
  install(FILES ${CMAKE_SOURCE_DIR}/${header} DESTINATION ${headers}/${folder})
endforeach()

if(INGOT_COMPILER)
  set(llvm_folder ${CMAKE_INSTALL_LIBDIR}/ingot/llvm)
  set(llvm_libraries)
  foreach(library MLIR LLVM)
    # By its own name (libMLIR.so.22.1), under which programs that were linked against it look for it.
    file(REAL_PATH ${INGOT_LLVM_PREFIX}/lib/lib${library}.so path)
    get_filename_component(file ${path} NAME)
    list(APPEND llvm_libraries ${file})
    install(FILES ${path} DESTINATION ${llvm_folder})
  endforeach()
  # libMLIR finds libLLVM beside itself through the path of whoever loads both.
  set_target_properties(ingot ingot-opt PROPERTIES INSTALL_RPATH "$ORIGIN/../${llvm_folder}")
  install(TARGETS ingot ingot-opt RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

configure_package_config_file(frontend/api/IngotConfig.cmake.in ${CMAKE_BINARY_DIR}/IngotConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/IngotConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/IngotConfig.cmake ${CMAKE_BINARY_DIR}/IngotConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot)
