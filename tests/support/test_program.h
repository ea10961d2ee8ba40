#pragma once

#include <string>
#if __has_include(<QTest>)
#include <QTest>
#endif

/// A condition that is waited for has the time that a busy machine may need for it; Qt's own
/// patience is five seconds. Waiting ends when it is true.
#undef QTRY_VERIFY
#undef QTRY_VERIFY2
#undef QTRY_COMPARE
#define QTRY_VERIFY(condition) QTRY_VERIFY_WITH_TIMEOUT(condition, 60000)
#define QTRY_VERIFY2(condition, text) QTRY_VERIFY2_WITH_TIMEOUT(condition, text, 60000)
#define QTRY_COMPARE(found, wanted) QTRY_COMPARE_WITH_TIMEOUT(found, wanted, 60000)

/// A program holds the tests of a room, so that a room links once: `tests_models tst_rpn [options
/// of Qt Test]`. A test file ends with one of the macros below instead of Qt's QTEST_MAIN.
namespace batchscope::test {

using TestMain = int (*)(int argc, char** argv);

/// Makes a test known by the name of its file without folder and suffix.
bool add_test(const char* file, TestMain main);

/// The name that this process was started with: what starts the program again gives it first.
const std::string& running_test();

}  // namespace batchscope::test

/// The file's own main: a function int(int, char**).
#define BATCHSCOPE_TEST_MAIN(function)                                                            \
  namespace {                                                                                     \
  [[maybe_unused]] const bool function##_known = batchscope::test::add_test(__FILE__, &function); \
  }

#define BATCHSCOPE_TEST_WITH(Application, Class) \
  namespace {                                    \
  int run_##Class(int argc, char** argv) {       \
    const Application application(argc, argv);   \
    Class test;                                  \
    return QTest::qExec(&test, argc, argv);      \
  }                                              \
  }                                              \
  BATCHSCOPE_TEST_MAIN(run_##Class)

/// A test without windows, and one with: the class of its slots.
#define BATCHSCOPE_TEST(Class) BATCHSCOPE_TEST_WITH(QCoreApplication, Class)
#define BATCHSCOPE_GUI_TEST(Class) BATCHSCOPE_TEST_WITH(QApplication, Class)
