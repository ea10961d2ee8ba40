#include "engine/data/coco_annotations.h"

#include <array>
#include <optional>

namespace batchscope::train {
namespace {

class AnnotationReader {
 public:
  AnnotationReader(const std::string& path, bool segmentations)
      : lists_(path, "The annotation file"), segmentations_(segmentations) {}

  CocoAnnotations read() {
    lists_.read([this] { image(); },
                [this] { annotation(); },
                [this] { out_.categories.push_back(lists_.category(/*named=*/true)); });
    out_.hash = reader_.hash();
    return std::move(out_);
  }

 private:
  void image() {
    std::optional<std::int64_t> id;
    std::optional<std::string> name;
    CocoPicture picture;
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        id = reader_.integer();
      } else if (key == "file_name") {
        name = reader_.text();
      } else if (key == "width") {
        picture.width = lists_.side();
      } else if (key == "height") {
        picture.height = lists_.side();
      } else {
        reader_.skip();
      }
    }
    picture.id = reader_.need(id, "id");
    picture.file_name = reader_.need(name, "file_name");
    out_.pictures.push_back(std::move(picture));
  }

  void annotation() {
    std::optional<std::int64_t> image, category;
    std::optional<double> area;
    std::optional<std::array<double, 4>> box;
    Segmentation segmentation;
    bool crowd = false, id_zero = false;
    for (std::string_view key; reader_.key(key);) {
      if (key == "id" && reader_.next() == JsonReader::Type::kNumber) {
        id_zero = reader_.any_number() == 0;
      } else if (key == "image_id") {
        image = reader_.integer();
      } else if (key == "category_id") {
        category = reader_.integer();
      } else if (key == "bbox") {
        box = read_box(reader_);
      } else if (key == "segmentation" && segmentations_) {
        segmentation.read(reader_, /*may_be_empty=*/true);
      } else if (key == "area" && !reader_.null()) {
        area = reader_.number();
      } else if (key == "iscrowd") {
        crowd = reader_.flag();
      } else if (key != "area") {
        reader_.skip();
      }
    }
    reader_.need(image, "image_id");
    reader_.need(category, "category_id");
    const auto& [x, y, w, h] = reader_.need(box, "bbox");
    out_.objects.push_back({*image, *category, x, y, w, h, area.value_or(w * h), crowd, id_zero});
    if (segmentations_) {
      out_.segmentations.push_back(std::move(segmentation));
    }
  }

  CocoLists lists_;
  JsonReader& reader_ = lists_.reader();
  bool segmentations_;
  CocoAnnotations out_;
};

}  // namespace

CocoAnnotations read_coco_annotations(const std::string& path, bool segmentations) {
  return AnnotationReader(path, segmentations).read();
}

}  // namespace batchscope::train
