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
install(FILES frontend/Ingot.h DESTINATION ${headers})
install(FILES frontend/Builder.h frontend/Model.h frontend/Models.h DESTINATION ${headers}/frontend)
install(FILES passes/TrainingOptions.h DESTINATION ${headers}/passes)
install(DIRECTORY runtime/ DESTINATION ${headers}/runtime FILES_MATCHING PATTERN "*.h")

configure_package_config_file(frontend/IngotConfig.cmake.in ${CMAKE_BINARY_DIR}/IngotConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/IngotConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/IngotConfig.cmake ${CMAKE_BINARY_DIR}/IngotConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Ingot)
