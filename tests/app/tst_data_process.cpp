#include "tests/app/engine_runner.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <cmath>

using namespace batchscope;

namespace {

/// Four pictures of 64x48 px with a square each.
void fill(const DataFolder& folder) {
  for (const char* stem : {"a", "b", "c", "d"}) {
    const int at = stem[0] - 'a' + 3;
    std::vector<std::uint32_t> pixels(64 * 48, 0x202020);
    for (std::size_t y = 10; y < 26; ++y) {
      for (std::size_t x = 0; x < 16; ++x) {
        pixels[y * 64 + x + static_cast<std::size_t>(at)] = 0x30c040;
      }
    }
    folder.png(std::string("images/") + stem + ".png", 64, 48, pixels, true);
    const std::string left = std::to_string(at + 1), right = std::to_string(at + 16);
    folder.write(std::string("xml/") + stem + ".xml",
                 "<annotation><object><name>square</name><bndbox><xmin>" + left +
                     "</xmin><ymin>11</ymin><xmax>" + right +
                     "</xmax><ymax>26</ymax></bndbox></object></annotation>");
  }
  folder.write("coco.json", R"({"images": [{"id": 1, "file_name": "a.png"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [3, 10, 16, 16]}],
    "categories": [{"id": 3, "name": "square"}]})");
}

QString path(const DataFolder& folder, const char* name) {
  return QString::fromStdString(folder.path(name));
}

QStringList check(const DataFolder& folder, const char* more = "") {
  return words("data check") + QStringList{path(folder, "xml")} + words("--kind voc --images") +
         QStringList{path(folder, "images")} + words(more);
}

QJsonObject object_of(const Result& result) {
  return QJsonDocument::fromJson(result.out.toUtf8()).object();
}

QString newest_checkpoint(const QString& run) {
  const QDir checkpoints(run + QStringLiteral("/checkpoints"));
  const QStringList files = checkpoints.entryList(QDir::Files, QDir::Time);
  return files.isEmpty() ? QString() : checkpoints.filePath(files.first());
}

}  // namespace

/// `batchscope-engine data check`, and the check that a launch does, as a script sees them.
class TestDataProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void a_good_set_is_described() {
    const DataFolder folder;
    fill(folder);
    Result result = run_engine(check(folder));
    QVERIFY2(result.code == 0, qPrintable(result.err));
    QVERIFY(result.err.isEmpty());  // no progress line where stderr is no terminal
    QVERIFY2(result.out.contains(QStringLiteral("training: 4 pictures, 4 boxes, 0 crowds")),
             qPrintable(result.out));
    QVERIFY(result.out.contains(QStringLiteral("square")));
    result = run_engine(check(folder, "--json"));
    QCOMPARE(result.code, 0);
    const QJsonObject set =
        object_of(result)[QStringLiteral("sets")].toObject()[QStringLiteral("training")].toObject();
    QCOMPARE(set[QStringLiteral("boxes")].toInt(), 4);
    QCOMPARE(set[QStringLiteral("widths")].toObject()[QStringLiteral("median")].toInt(), 64);
    QCOMPARE(set[QStringLiteral("classes")].toArray().size(), 1);
  }

  void coco_annotations_need_no_kind() {
    const DataFolder folder;
    fill(folder);
    const Result result = run_engine(words("data check") + QStringList{path(folder, "coco.json")} +
                                     words("--images") + QStringList{path(folder, "images")});
    QVERIFY2(result.code == 0, qPrintable(result.err));
    QVERIFY(result.out.contains(QStringLiteral("training: 1 pictures, 1 boxes")));
  }

  void damage_is_exit_3() {
    const DataFolder folder;
    fill(folder);
    folder.write("images/b.png", "text");
    Result result = run_engine(check(folder, "--json"));
    QCOMPARE(result.code, 3);
    QCOMPARE(result.err.count(QLatin1Char('\n')), 1);
    QVERIFY2(result.err.contains(QStringLiteral("1 picture cannot be used: The picture '")) &&
                 result.err.contains(QStringLiteral("b.png' is neither a JPEG nor a PNG file")),
             qPrintable(result.err));
    QVERIFY(!object_of(result)[QStringLiteral("ok")].toBool(true));
    std::filesystem::remove(folder.path("images/b.png"));
    result = run_engine(check(folder));
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("names 1 picture of 4 that the folder '")),
             qPrintable(result.err));
    QCOMPARE(run_engine(words("data check no-such-preset")).code, 2);
    QCOMPARE(run_engine(words("data check x --kind yolo --images y")).code, 2);
  }

  void a_spec_has_both_sets() {
    const DataFolder folder;
    fill(folder);
    folder.write("val.txt", "a\nd\n");
    folder.write("my.toml",
                 "[data]\nkind = \"voc\"\nannotations = \"xml\"\nimages = \"images\"\n"
                 "val_list = \"val.txt\"\n");
    const Result result =
        run_engine(words("data check") + QStringList{path(folder, "my.toml")} + words("--quick"));
    QVERIFY2(result.code == 0, qPrintable(result.err));
    QVERIFY(result.out.contains(QStringLiteral("validation: 2 pictures")));
    QVERIFY2(result.out.contains(
                 QStringLiteral("2 validation pictures are training pictures, the first: ")),
             qPrintable(result.out));
  }

  // The files of the figure are looked at although there is no validation set to measure.
  void files_of_open_images_figure_are_checked() {
    const DataFolder folder;
    fill(folder);
    folder.write("boxes.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na,square,0,.5,0,1\n");
    const auto checked = [&folder](const char* tree, const char* labels) {
      return run_engine(
          words("data check") + QStringList{path(folder, "boxes.csv")} +
          words("--kind openimages --images") +
          QStringList{path(folder, "images"),
                      QStringLiteral("--set"),
                      QStringLiteral("data.hierarchy=") + path(folder, tree),
                      QStringLiteral("--set"),
                      QStringLiteral("data.val_image_labels=") + path(folder, labels)});
    };
    folder.write("tree.json", R"({"LabelName": "root", "Subcategory": [{"LabelName": "circle"}]})");
    folder.write("labels.csv", "ImageID,LabelName,Confidence\nb,square,1\n");
    Result result = checked("none.json", "labels.csv");
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("none.json'")), qPrintable(result.err));
    result = checked("tree.json", "none.csv");
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("none.csv' cannot be opened")),
             qPrintable(result.err));
    result = checked("tree.json", "labels.csv");
    QCOMPARE(result.code, 0);
    QVERIFY2(result.out.contains(QStringLiteral("tree.json' lacks 1 of 1 classes")) &&
                 result.out.contains(QStringLiteral("labels.csv' has no label of the set's")),
             qPrintable(result.out));
  }

  // One hit of a class below another, which is missed.
  void open_images_figures() {
    const DataFolder folder;
    folder.write("tree.json",
                 R"({"LabelName": "root", "Subcategory": [{"LabelName": "animal", "Subcategory":
                    [{"LabelName": "dog"}]}]})");
    folder.write("truth.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\n1,dog,0,.5,0,1\n");
    folder.write("found.csv", "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n1,dog,.9,0,.5,0,1\n");
    const QStringList files = words("metrics --type openimages --gt") +
                              QStringList{path(folder, "truth.csv")} + words("--dt") +
                              QStringList{path(folder, "found.csv")};
    const QStringList tree = words("--json --hierarchy") + QStringList{path(folder, "tree.json")};
    QCOMPARE(object_of(run_engine(files + words("--json")))[QStringLiteral("AP50")].toDouble(),
             1.0);
    QCOMPARE(object_of(run_engine(files + tree))[QStringLiteral("AP50")].toDouble(), 0.5);
    const Result all = run_engine(files + tree + words("--expand-detections --per-class"));
    QVERIFY2(all.code == 0, qPrintable(all.err));
    QCOMPARE(object_of(all)[QStringLiteral("AP50")].toDouble(), 1.0);
    QCOMPARE(object_of(all)[QStringLiteral("per_class")].toArray().size(), 2);
    QCOMPARE(run_engine(words("metrics --type bbox --gt a --dt b --hierarchy c")).code, 2);
  }

  // The run's evaluation, `eval` of its checkpoint, and `metrics` over what `predict` finds with
  // it.
  void open_images_figure_of_a_run() {
    const DataFolder folder;
    fill(folder);
    std::string boxes = "ImageID,LabelName,XMin,XMax,YMin,YMax\n";
    for (const char* stem : {"a", "b", "c", "d"}) {
      const double left = stem[0] - 'a' + 3;
      boxes += QStringLiteral("%1,square,%2,%3,%4,%5\n")
                   .arg(QLatin1String(stem))
                   .arg(left / 64)
                   .arg((left + 16) / 64)
                   .arg(10.0 / 48, 0, 'g', 17)
                   .arg(26.0 / 48, 0, 'g', 17)
                   .toStdString();
    }
    folder.write("boxes.csv", boxes);
    folder.write("labels.csv", "ImageID,LabelName,Confidence\na,square,1\n");
    folder.write("tree.json",
                 R"({"LabelName": "root", "Subcategory": [{"LabelName": "shape", "Subcategory":
                    [{"LabelName": "square"}]}]})");
    QStringList settings =
        words("data.kind=openimages schedule.steps=300 batch.micro=4 optim.lr=0.05 data.flip=0");
    for (const auto& [key, file] : {std::pair{"annotations", "boxes.csv"},
                                    {"val_annotations", "boxes.csv"},
                                    {"images", "images"},
                                    {"hierarchy", "tree.json"},
                                    {"val_image_labels", "labels.csv"}}) {
      settings << QStringLiteral("data.%1=%2").arg(QLatin1String(key), path(folder, file));
    }
    Training training(settings);
    const int code = training.wait();
    QVERIFY2(code == 0, training.process.readAllStandardError().constData());
    const double figure = training.summary().metrics.at("OpenImages_AP50");
    QVERIFY2(figure > 0.1 && figure <= 0.5, qPrintable(QString::number(figure)));  // shape: missed

    const QString checkpoint = newest_checkpoint(training.folder);
    const Result evaluated =
        run_engine(words("eval --json --checkpoint") + QStringList{checkpoint});
    QVERIFY2(evaluated.code == 0, qPrintable(evaluated.err));
    QCOMPARE(object_of(evaluated)[QStringLiteral("OpenImages_AP50")].toDouble(), figure);

    const Result predicted =
        run_engine(words("predict --model lab_faster_rcnn --weights") +
                   QStringList{checkpoint, QStringLiteral("--images"), path(folder, "images")} +
                   words("--out") + QStringList{path(folder, "found.json")});
    QVERIFY2(predicted.code == 0, qPrintable(predicted.err));
    QFile file(path(folder, "found.json"));
    QVERIFY(file.open(QIODevice::ReadOnly));
    QString rows = QStringLiteral("ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n");
    for (const QJsonValue& found : QJsonDocument::fromJson(file.readAll()).array()) {
      const QJsonArray box = found[QStringLiteral("bbox")].toArray();
      const auto share = [&](int at, double side) {
        const double corner = box[at % 2].toDouble() + (at > 1 ? box[at].toDouble() : 0);
        return QString::number(corner / side, 'g', 17);
      };
      rows += QStringList{found[QStringLiteral("file_name")].toString().left(1),
                          QStringLiteral("square"),
                          QString::number(found[QStringLiteral("score")].toDouble(), 'g', 17),
                          share(0, 64),
                          share(2, 64),
                          share(1, 48),
                          share(3, 48)}
                  .join(QLatin1Char(',')) +
              QLatin1Char('\n');
    }
    folder.write("found.csv", rows.toStdString());
    const QStringList measure = words("metrics --type openimages --json --gt") +
                                QStringList{path(folder, "boxes.csv")} + words("--dt") +
                                QStringList{path(folder, "found.csv")} + words("--image-labels") +
                                QStringList{path(folder, "labels.csv")};
    const auto ap50 = [](const Result& result) {
      return object_of(result)[QStringLiteral("AP50")].toDouble(-1);
    };
    const double with_tree =
        ap50(run_engine(measure + words("--hierarchy") + QStringList{path(folder, "tree.json")}));
    QVERIFY(std::abs(with_tree - figure) < 1e-12);
    QVERIFY(std::abs(ap50(run_engine(measure)) - 2 * figure) < 1e-12);
  }

  void a_launch_checks_and_trains() {
    const DataFolder folder;
    fill(folder);
    folder.write("train.txt", "a\nb\nc\n");
    folder.write("val.txt", "c\nd\n");
    // Relative paths are seen from where the command is given.
    const QString before = QDir::currentPath();
    QVERIFY(QDir::setCurrent(path(folder, "")));
    const QStringList settings = words(
        "data.kind=voc data.annotations=xml data.images=images data.list=train.txt "
        "data.val_list=val.txt schedule.steps=2 batch.micro=2 optim.lr=0.001");
    {
      Training training(settings);
      const int code = training.wait();
      const QString err = QString::fromUtf8(training.process.readAllStandardError());
      QDir::setCurrent(before);
      QVERIFY2(code == 0, qPrintable(err));
      QVERIFY2(err.contains(QStringLiteral("warning: 1 validation picture is a training picture")),
               qPrintable(err));
      bool recorded = false;
      for (const contract::EventRecord& event : training.events("warning")) {
        recorded = recorded || event.text.find("is a training picture") != std::string::npos;
      }
      QVERIFY(recorded);
      QCOMPARE(training.rows(), 2);
    }
    // Its header is whole: what is wrong comes to light in the middle of the training.
    QFile picture(path(folder, "images/b.png"));
    QVERIFY(picture.open(QIODevice::ReadWrite));
    const QByteArray whole = picture.readAll();
    QVERIFY(picture.resize(picture.size() / 2));
    {
      QDir::setCurrent(path(folder, ""));
      Training bearable(settings);
      QCOMPARE(bearable.wait(), 0);
      bool said = false;
      for (const contract::EventRecord& event : bearable.events("warning")) {
        said = said || contains(event.text, "images/b.png' is a damaged PNG file: ");
      }
      QVERIFY(said);
      Training broken(settings + words("data.max_broken=0"));
      const int code = broken.wait();
      QDir::setCurrent(before);
      const QString err = QString::fromUtf8(broken.process.readAllStandardError());
      QVERIFY2(code == 3, qPrintable(err));
      const auto errors = broken.events("error");
      QCOMPARE(errors.size(), std::size_t{1});
      QVERIFY2(contains(errors[0].text, "images/b.png' is a damaged PNG file: ") &&
                   errors[0].text.ends_with(" (of the training set)."),
               errors[0].text.c_str());
      QVERIFY2(err.contains(QString::fromStdString(errors[0].text)), qPrintable(err));
    }
    QVERIFY(picture.seek(0) && picture.write(whole) == whole.size());
    picture.close();
    folder.write("images/d.png", "");
    QDir::setCurrent(path(folder, ""));
    Training refused(settings + words("data.max_broken=0"));
    const int code = refused.wait();
    QDir::setCurrent(before);
    const QString err = QString::fromUtf8(refused.process.readAllStandardError());
    QCOMPARE(code, 3);
    QVERIFY2(err.contains(QStringLiteral("d.png' is an empty file")), qPrintable(err));
  }
};

BATCHSCOPE_TEST(TestDataProcess)
#include "tst_data_process.moc"
