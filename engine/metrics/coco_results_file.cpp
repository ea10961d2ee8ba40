#include "engine/metrics/coco_files.h"
#include "engine/metrics/coco_segmentation.h"
#include "engine/metrics/rle_polygon.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::train {
namespace {

class ResultsReader {
 public:
  ResultsReader(const std::string& path, const std::string& truth_path, CocoInput& input)
      : reader_(path, "The results file"), truth_path_(truth_path), input_(input) {
    categories_ = input.set.categories;
    std::sort(categories_.begin(), categories_.end());
  }
  void read() {
    if (reader_.next() != JsonReader::Type::kList) {
      reader_.expected("a list of results");
    }
    bool first = true;
    reader_.each([this, &first] {
      entry(first);
      first = false;
    });
    reader_.finish();
    if (unknown_ > 0) {
      input_.warnings.push_back(std::to_string(unknown_) + " detections of categories that '" +
                                truth_path_ + "' does not have are left out");
    }
    if (input_.set.masks && boxed_ && !input_.set.detections.empty()) {
      input_.warnings.push_back("the first entry of '" + reader_.path() +
                                "' has a bbox, so COCO's evaluator takes w * h for the areas of "
                                "the detections, and so do "
                                "these figures; leave bbox out for the areas of the masks");
    }
  }

 private:
  struct Fields {
    std::optional<std::int64_t> image, category;
    std::optional<double> score;
    std::optional<std::array<double, 4>> box;
  };

  void entry(bool first) {
    Fields f;
    segmentation_.clear();
    for (std::string_view key; reader_.key(key);) {
      if (key == "image_id") {
        f.image = reader_.integer();
      } else if (key == "category_id") {
        f.category = reader_.integer();
      } else if (key == "score") {
        f.score = reader_.any_number();
      } else if (key == "bbox") {
        f.box = read_box(reader_);
      } else if (key == "segmentation" && (first || input_.set.masks || !boxed_)) {
        segmentation_.read(reader_);
      } else {
        reader_.skip();
      }
    }
    if (first) {
      boxed_ = f.box.has_value();
    }
    reader_.need(f.image, "image_id");
    reader_.need(f.category, "category_id");
    reader_.need(f.score, "score");
    reader_.need(boxed_ ? f.box.has_value() : segmentation_.present(),
                 !boxed_               ? "segmentation"
                 : reader_.index() > 0 ? "bbox, which the first entry has"
                                       : "bbox");
    add(f);
  }

  void add(const Fields& f) {
    const auto size = input_.sizes.find(*f.image);
    if (size == input_.sizes.end()) {
      reader_.fail("image_id " + std::to_string(*f.image) + " is no picture of '" + truth_path_ +
                   "'");
    }
    if (!std::binary_search(categories_.begin(), categories_.end(), *f.category)) {
      ++unknown_;
      return;
    }
    EvalDetection d{*f.image, *f.category};
    d.score = *f.score;
    std::array<double, 4> box = f.box.value_or(std::array<double, 4>{});
    if (input_.set.masks || !boxed_) {
      Rle mask = mask_of(box, size->second);
      if (!boxed_) {
        d.area = static_cast<double>(rle_area(mask));
        box = f.box.value_or(rle_box(mask));
      }
      if (input_.set.masks) {
        mask.counts.shrink_to_fit();
        input_.set.detection_masks.push_back(std::move(mask));
      }
    }
    d.x = box[0];
    d.y = box[1];
    d.w = box[2];
    d.h = box[3];
    input_.set.detections.push_back(d);
  }

  Rle mask_of(const std::array<double, 4>& box, const std::array<std::uint32_t, 2>& size) const {
    try {
      if (segmentation_.present()) {
        return segmentation_.mask(size[0], size[1]);
      }
      if (size[0] == 0 || size[1] == 0) {
        throw std::invalid_argument("none, and the truth does not say the picture's size");
      }
      return rle_from_box(box, size[0], size[1]);
    } catch (const std::invalid_argument& error) {
      reader_.fail(std::string("segmentation: ") + error.what());
    }
  }

  JsonReader reader_;
  const std::string& truth_path_;
  CocoInput& input_;
  std::vector<std::int64_t> categories_;
  Segmentation segmentation_;
  bool boxed_ = true;
  std::size_t unknown_ = 0;
};

}  // namespace

void read_coco_results(const std::string& path, const std::string& truth_path, CocoInput& input) {
  ResultsReader(path, truth_path, input).read();
}

}  // namespace batchscope::train
