#include "engine/data/coco_annotations.h"

#include "engine/contract/error.h"
#include "engine/data/json_reader.h"

#include <array>
#include <optional>

namespace batchscope::train {
namespace {

constexpr const char* kWhat = "The annotation file";

class Reader {
 public:
  Reader(const std::string& path, bool segmentations)
      : reader_(path, kWhat), segmentations_(segmentations) {}

  CocoAnnotations read() {
    if (reader_.next() != JsonReader::Type::kObject) {
      reader_.expected("an object with images, annotations and categories");
    }
    bool images = false, annotations = false, categories = false;
    reader_.begin_object();
    for (std::string_view key; reader_.key(key);) {
      if (key == "images") {
        read_list(images, [this] { image(); });
      } else if (key == "annotations") {
        read_list(annotations, [this] { annotation(); });
      } else if (key == "categories") {
        read_list(categories, [this] { category(); });
      } else {
        reader_.skip();
      }
    }
    reader_.finish();
    require_list(images, "images");
    require_list(annotations, "annotations");
    require_list(categories, "categories");
    out_.hash = reader_.hash();
    return std::move(out_);
  }

 private:
  template <typename Read>
  void read_list(bool& seen, const Read& read) {
    seen = true;
    for (reader_.begin_list(); reader_.item();) {
      reader_.begin_object();
      read();
    }
  }
  void require_list(bool seen, const char* name) const {
    if (!seen) {
      throw contract::DataError(std::string(kWhat) + " '" + reader_.path() + "' has no list '" +
                                name + "'; expected a COCO instance file.");
    }
  }
  void need(bool there, const char* field) const {
    if (!there) {
      reader_.fail(std::string("no ") + field);
    }
  }
  std::int64_t side() {
    if (reader_.null()) {
      return 0;
    }
    const std::int64_t value = reader_.integer();
    if (value < 0 || value > INT32_MAX) {
      reader_.expected("a size in pixels");
    }
    return value;
  }

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
        picture.width = side();
      } else if (key == "height") {
        picture.height = side();
      } else {
        reader_.skip();
      }
    }
    need(id.has_value(), "id");
    need(name.has_value(), "file_name");
    picture.id = *id;
    picture.file_name = std::move(*name);
    out_.pictures.push_back(std::move(picture));
  }

  void category() {
    std::optional<std::int64_t> id;
    std::optional<std::string> name;
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        id = reader_.integer();
      } else if (key == "name") {
        name = reader_.text();
      } else {
        reader_.skip();
      }
    }
    need(id.has_value(), "id");
    need(name.has_value(), "name");
    out_.categories.push_back({*id, std::move(*name)});
  }

  void annotation() {
    std::optional<std::int64_t> image, category;
    std::optional<double> area;
    std::optional<std::array<double, 4>> box;
    Segmentation segmentation;
    bool crowd = false;
    for (std::string_view key; reader_.key(key);) {
      if (key == "image_id") {
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
    need(image.has_value(), "image_id");
    need(category.has_value(), "category_id");
    need(box.has_value(), "bbox");
    const auto& [x, y, w, h] = *box;
    out_.objects.push_back({*image, *category, x, y, w, h, area.value_or(w * h), crowd});
    if (segmentations_) {
      out_.segmentations.push_back(std::move(segmentation));
    }
  }

  JsonReader reader_;
  bool segmentations_;
  CocoAnnotations out_;
};

}  // namespace

CocoAnnotations read_coco_annotations(const std::string& path, bool segmentations) {
  return Reader(path, segmentations).read();
}

}  // namespace batchscope::train
