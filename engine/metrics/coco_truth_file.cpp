#include "engine/contract/error.h"
#include "engine/data/coco_lists.h"
#include "engine/metrics/coco_files.h"
#include "engine/metrics/coco_segmentation.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::train {
namespace {

constexpr const char* kWhat = "The truth file";

/// A mask whose picture had not been read yet.
struct Pending {
  std::size_t truth = 0;
  Segmentation segmentation;
  bool area_missing = false;
};

class TruthReader {
 public:
  TruthReader(const std::string& path, bool masks) : lists_(path, kWhat), masks_(masks) {
    input_.set.masks = masks;
  }
  CocoInput read() {
    lists_.read([this] { image(); }, [this] { annotation(); }, [this] { category(); });
    resolve_pending();
    check_ids();
    return std::move(input_);
  }

 private:
  void image() {
    std::optional<std::int64_t> id;
    std::array<std::uint32_t, 2> size{};
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        id = reader_.integer();
      } else if (key == "height") {
        size[0] = static_cast<std::uint32_t>(lists_.side());
      } else if (key == "width") {
        size[1] = static_cast<std::uint32_t>(lists_.side());
      } else {
        reader_.skip();
      }
    }
    reader_.need(id, "id");
    input_.set.images.push_back(*id);
    input_.sizes[*id] = size;
  }

  void category() {
    CocoCategory category = lists_.category(/*named=*/false);
    input_.set.categories.push_back(category.id);
    input_.names[category.id] = std::move(category.name);
  }

  struct Fields {
    std::optional<std::int64_t> id, image, category;
    std::optional<double> area;
    std::optional<std::array<double, 4>> box;
    bool crowd = false;
  };

  Fields fields() {
    Fields f;
    segmentation_.clear();
    for (std::string_view key; reader_.key(key);) {
      if (key == "id") {
        f.id = reader_.integer();
      } else if (key == "image_id") {
        f.image = reader_.integer();
      } else if (key == "category_id") {
        f.category = reader_.integer();
      } else if (key == "bbox" && !masks_) {
        f.box = read_box(reader_);
      } else if (key == "segmentation" && masks_) {
        segmentation_.read(reader_);
      } else if (key == "area" && !reader_.null()) {
        f.area = reader_.number();
      } else if (key == "iscrowd") {
        f.crowd = reader_.flag();
      } else if (key != "area") {
        reader_.skip();
      }
    }
    return f;
  }

  void annotation() {
    const Fields f = fields();
    reader_.need(f.image, "image_id");
    reader_.need(f.category, "category_id");
    reader_.need(masks_ ? segmentation_.present() : f.box.has_value(),
                 masks_ ? "segmentation" : "bbox");
    const std::array<double, 4> box = f.box.value_or(std::array<double, 4>{});
    input_.set.truth.push_back({*f.image,
                                *f.category,
                                box[0],
                                box[1],
                                box[2],
                                box[3],
                                f.area.value_or(box[2] * box[3]),
                                f.crowd,
                                f.id == 0});
    if (f.id) {
      ids_.emplace_back(*f.id, reader_.index());
    }
    if (masks_) {
      add_mask(!f.area.has_value());
    }
  }

  void add_mask(bool area_missing) {
    const std::size_t truth = input_.set.truth.size() - 1;
    input_.set.truth_masks.emplace_back();
    const auto size = input_.sizes.find(input_.set.truth.back().image);
    if (size == input_.sizes.end()) {
      pending_.push_back({truth, segmentation_, area_missing});
      return;
    }
    try {
      set_mask(truth, segmentation_, size->second, area_missing);
    } catch (const std::invalid_argument& error) {
      reader_.fail(std::string("segmentation: ") + error.what());
    }
  }

  void set_mask(std::size_t truth,
                const Segmentation& segmentation,
                const std::array<std::uint32_t, 2>& size,
                bool area_missing) {
    Rle& mask = input_.set.truth_masks[truth];
    mask = segmentation.mask(size[0], size[1]);
    if (area_missing) {
      input_.set.truth[truth].area = static_cast<double>(rle_area(mask));
    }
  }

  void resolve_pending() {
    for (const Pending& p : pending_) {
      const auto size = input_.sizes.find(input_.set.truth[p.truth].image);
      if (size == input_.sizes.end()) {
        continue;  // a picture that is not evaluated
      }
      try {
        set_mask(p.truth, p.segmentation, size->second, p.area_missing);
      } catch (const std::invalid_argument& error) {
        throw contract::DataError(std::string(kWhat) + " '" + reader_.path() + "': annotations[" +
                                  std::to_string(p.truth) + "].segmentation: " + error.what() +
                                  ".");
      }
    }
  }

  /// pycocotools keeps the last of two annotations of one id, in the place of both: no figure of
  /// such a file could be trusted.
  void check_ids() {
    std::sort(ids_.begin(), ids_.end());
    for (std::size_t i = 1; i < ids_.size(); ++i) {
      if (ids_[i].first == ids_[i - 1].first) {
        throw contract::DataError(
            std::string(kWhat) + " '" + reader_.path() + "': annotations[" +
            std::to_string(ids_[i].second) + "].id: " + std::to_string(ids_[i].first) +
            " is that of annotations[" + std::to_string(ids_[i - 1].second) + "] already.");
      }
    }
    if (std::any_of(input_.set.truth.begin(), input_.set.truth.end(), [](const EvalTruth& t) {
          return t.unmatched;
        })) {
      input_.warnings.emplace_back(
          "an annotation has the id 0, whose match COCO's evaluator takes for none, and so do "
          "these "
          "figures; number annotations from 1");
    }
  }

  CocoLists lists_;
  JsonReader& reader_ = lists_.reader();
  bool masks_;
  CocoInput input_;
  Segmentation segmentation_;
  std::vector<Pending> pending_;
  std::vector<std::pair<std::int64_t, std::size_t>> ids_;
};

}  // namespace

CocoInput read_coco_truth(const std::string& path, bool masks) {
  return TruthReader(path, masks).read();
}

}  // namespace batchscope::train
