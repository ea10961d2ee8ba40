batchscope_test_program(tests_session ui LIBS batchscope_session)
batchscope_tests(tests_session LABELS unit
  TESTS tst_session_client tst_session_compare tst_session_curve tst_session_fork tst_session_launch tst_session_models
    tst_session_playhead tst_session_probes tst_session_run)
batchscope_tests(tests_session LABELS unit process TESTS tst_session_build)

batchscope_test_program(tests_views ui LIBS batchscope_views)
batchscope_tests(tests_views LABELS unit gui TESTS tst_views_chart tst_views_samples tst_views_theme)
batchscope_tests(tests_views LABELS gui
  TESTS tst_views_banners tst_views_closing tst_views_control tst_views_crosshair tst_views_export tst_views_fork tst_views_keys
    tst_views_playhead tst_views_staying tst_views_text_size)
batchscope_tests(tests_views LABELS gui COST 14 TESTS tst_views_window)
batchscope_tests(tests_views LABELS gui process TESTS tst_views_build)
if(BATCHSCOPE_ENGINE)
  add_dependencies(tests_views batchscope-engine)
  batchscope_tests(tests_views LABELS gui process TIMEOUT 300 TESTS tst_views_engine tst_views_launch)
endif()

# Made-up runs for looking at the pages; not a test.
add_executable(views_sample_run EXCLUDE_FROM_ALL ui/views_sample_run.cpp)
target_include_directories(views_sample_run PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(views_sample_run PRIVATE batchscope_storage Qt6::Gui Qt6::Network)
