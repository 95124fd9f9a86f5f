# What `cmake --install` puts where: the tools, one archive a part, public headers, find_package(Ingot).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(ingot ingot-opt PROPERTIES INSTALL_RPATH ${INGOT_LLVM_PREFIX}/lib)
install(TARGETS ingot ingot-opt RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES $<TARGET_FILE:ingot_frontend> $<TARGET_FILE:ingot_codegen> $<TARGET_FILE:ingot_passes>
              $<TARGET_FILE:ingot_ir> $<TARGET_FILE:ingot_runtime>
        DESTINATION ${CMAKE_INSTALL_LIBDIR})

# Headers without a type of MLIR's or LLVM's. <ingot/Ingot.h> includes the others.
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/ingot)
install(FILES frontend/api/Ingot.h DESTINATION ${headers})
foreach(header frontend/builder/Builder.h frontend/api/Model.h frontend/families/Models.h passes/options/TrainingOptions.h)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${headers}/${folder})
endforeach()
# Of the runtime, what ingot_runtime holds; the emulator is a library of its own that is not installed.
install(DIRECTORY runtime/support runtime/program runtime/training runtime/data runtime/cpu
        DESTINATION ${headers}/runtime FILES_MATCHING PATTERN "*.h")

configure_package_config_file(frontend/api/IngotConfig.cmake.in ${CMAKE_BINARY_DIR}/IngotConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/IngotConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/IngotConfig.cmake ${CMAKE_BINARY_DIR}/IngotConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot)
