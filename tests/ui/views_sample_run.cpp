// Writes made-up runs into a library, to look at the pages without an engine:
//   views_sample_run LIBRARY && batchscope --library LIBRARY
#include "tests/ui/views_fixture.h"

#include <QGuiApplication>

int main(int argc, char** argv) {
  qputenv("QT_QPA_PLATFORM", "offscreen");
  const QGuiApplication app(argc, argv);
  if (argc != 2) {
    qWarning("usage: views_sample_run LIBRARY");
    return 2;
  }
  using batchscope::test::SampleRun;
  SampleRun first(argv[1], "a1b2c3d4e5f6", "lab, batch 128, AGVM after an undo");
  first.write();
  first.finish();
  SampleRun second(argv[1], "b1b2c3d4e5f6", "lab, batch 128, lr 0.02", 360, 0.02);
  second.write();
  second.finish();
  SampleRun third(argv[1], "c1b2c3d4e5f6", "lab, batch 128, lr 0.32", 180, 0.32);
  third.write();
  third.event("diverged", 180, "The loss passed 1e4 at step 180 in roi_head.", {});
  third.finish(batchscope::contract::RunState::kFailed);
  SampleRun fourth(argv[1], "d1b2c3d4e5f6", "panoptic, batch 128");
  fourth.task("panoptic");
  fourth.write();
  fourth.finish();
  SampleRun fifth(argv[1], "e1b2c3d4e5f6", "semantic, batch 128", 300);
  fifth.task("semantic");
  fifth.write();
  fifth.finish();
  return 0;
}
