#pragma once

#include "engine/contract/error.h"
#include "engine/data/class_list.h"
#include "engine/data/dataset.h"
#include "engine/metrics/coco_segmentation.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

struct SetPicture {
  std::int64_t id = 0;
  std::string name;                    // file, relative to the folder
  std::int64_t width = 0, height = 0;  // px; 0: the annotations do not say
  std::vector<TruthBox> truth;
  std::vector<Segmentation> segmentations = {};  // of truth, where the annotations have them
};

/// What a reader of annotations gives.
struct SetContent {
  std::string source;  // names the annotations in sentences: "The annotation file 'a.json'"
  std::string folder;  // of the pictures
  ClassList classes;
  std::vector<SetPicture> pictures;
  std::uint64_t hash = 0;  // of the annotations
  std::vector<std::string> warnings;
  bool relative = false;     // boxes in shares of the picture's sides, areas likewise
  bool all_boxless = false;  // no picture need have a box to train on; else one has to
  const char* crowd = "a crowd (iscrowd 1)";  // what TruthBox::crowd is in the annotations
};

/// Which of the annotations' pictures a set has.
struct PictureChoice {
  std::int64_t max_pictures = 0;  // only the first N of those left; 0: all
  bool skip_empty = false;        // leave those without a box to train on out
};

/// "1 box", "2 boxes".
std::string counted(std::size_t count, const char* one, const char* many);

/// A picture's name: `stem` with .jpg, .jpeg or .png (or these in capitals), whichever is present;
/// `otherwise` where none is.
std::string picture_of_stem(const std::string& stem,
                            const std::unordered_set<std::string>& present,
                            const std::string& otherwise);

/// FNV-1a of a file's bytes, continued from `hash`. Throws contract::DataError.
std::uint64_t hash_of_file(const std::string& path, std::uint64_t hash);

/// FNV-1a of a file's name and size, continued from `hash`: for pictures, whose bytes would take
/// minutes to read.
std::uint64_t hash_of_size(const std::string& folder, const std::string& name, std::uint64_t hash);

/// Annotated picture files. Boxes to train on are cut at the picture's border; crowd regions and
/// boxes without area are left out of them and stay in truth(). Any thread.
class PictureSet : public Dataset {
 public:
  /// Throws contract::DataError: no pictures or classes, none left, pictures that are not in the
  /// folder.
  explicit PictureSet(SetContent content, const PictureChoice& choice = {});
  /// What is said of the set where a file of it cannot be used: "training set". Before it is
  /// shared.
  void set_role(std::string role) { role_ = std::move(role); }
  std::int64_t size() const override { return static_cast<std::int64_t>(pictures_.size()); }
  /// Throws contract::DataError naming the file also when its size is not what the annotations say.
  Sample get(std::int64_t index) const final;
  std::vector<TruthBox> truth(std::int64_t index) const override;
  std::int64_t image_id(std::int64_t index) const override { return at(index).id; }
  std::optional<StoredPicture> stored(std::int64_t index) const override;
  const std::vector<std::string>& classes() const override { return classes_.names; }
  std::int64_t category_id(std::int64_t label) const override;
  std::int64_t things() const override { return classes_.things; }
  std::string checksum() const override { return checksum_; }
  std::vector<std::string> warnings() const override { return warnings_; }

 protected:
  const SetPicture& at(std::int64_t index) const {
    return pictures_.at(static_cast<std::size_t>(index));
  }
  /// get() without the set's role in its errors.
  virtual Sample read_sample(std::int64_t index) const;
  /// What `read` gives; its contract::DataError says the set's role at its end.
  template <typename Read>
  auto in_set(const Read& read) const {
    try {
      return read();
    } catch (const contract::DataError& error) {
      throw contract::DataError(with_role(error.what()));
    }
  }
  /// The picture and its boxes, and which of truth() these are.
  Sample load(std::int64_t index, std::vector<std::size_t>& kept) const;
  const std::string& source() const { return source_; }

 private:
  std::string with_role(std::string sentence) const;
  void require_objects(const char* crowd) const;
  void skip_boxless();
  void count_boxes(bool all_boxless);
  void require_pictures() const;
  std::size_t trainable_boxes(const SetPicture& picture) const;

  std::string source_, folder_, checksum_, role_;
  ClassList classes_;
  std::vector<SetPicture> pictures_;
  std::vector<std::string> warnings_;
  bool relative_ = false;
};

}  // namespace batchscope::train
