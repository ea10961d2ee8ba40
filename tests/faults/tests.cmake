# Kills, stops, full disks and damage at random moments; long by hand (CONTRIBUTING.md).
add_library(full_disk MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faults/full_disk.cpp)
target_link_libraries(full_disk PRIVATE ${CMAKE_DL_LIBS})
batchscope_warnings(full_disk)
batchscope_test_program(tests_faults faults LIBS batchscope_storage NEEDS batchscope-engine full_disk)
target_compile_definitions(tests_faults PRIVATE BATCHSCOPE_FULL_DISK="$<TARGET_FILE:full_disk>")
batchscope_tests(tests_faults LABELS process faults COST 40 TIMEOUT 600 SIDE_BY_SIDE 3 TESTS tst_faults)
