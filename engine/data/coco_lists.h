#pragma once

#include "engine/contract/error.h"
#include "engine/data/json_reader.h"

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace batchscope::train {

/// The outer shape of a COCO instance file, which its readers fill: an object with the lists
/// images, annotations and categories of objects, in any order, each needed. What a reader does
/// not ask for is skipped. Errors are contract::DataError with the place.
class CocoLists {
 public:
  /// `what` begins the sentences: "The truth file".
  CocoLists(const std::string& path, const char* what) : reader_(path, what), what_(what) {}

  /// Calls image(), annotation() and category() at the begin of each entry; each goes through
  /// reader().key() to its end.
  template <typename Image, typename Annotation, typename Category>
  void read(const Image& image, const Annotation& annotation, const Category& category) {
    if (reader_.next() != JsonReader::Type::kObject) {
      reader_.expected("an object with images, annotations and categories");
    }
    std::array<std::pair<const char*, bool>, 3> lists = {
        {{"images", false}, {"annotations", false}, {"categories", false}}};
    reader_.begin_object();
    for (std::string_view key; reader_.key(key);) {
      if (key == lists[0].first) {
        lists[0].second = each(image);
      } else if (key == lists[1].first) {
        lists[1].second = each(annotation);
      } else if (key == lists[2].first) {
        lists[2].second = each(category);
      } else {
        reader_.skip();
      }
    }
    reader_.finish();
    for (const auto& [name, seen] : lists) {
      if (!seen) {
        throw contract::DataError(std::string(what_) + " '" + reader_.path() + "' has no list '" +
                                  name + "'; expected a COCO instance file.");
      }
    }
  }
  /// Throws "no FIELD" at the present entry unless it was there.
  void need(bool there, const char* field) const {
    if (!there) {
      reader_.fail(std::string("no ") + field);
    }
  }
  /// A side of a picture in pixels; 0 for null.
  std::int32_t side() {
    if (reader_.null()) {
      return 0;
    }
    const std::int64_t value = reader_.integer();
    if (value < 0 || value > INT32_MAX) {
      reader_.expected("a size in pixels");
    }
    return static_cast<std::int32_t>(value);
  }
  JsonReader& reader() { return reader_; }
  const JsonReader& reader() const { return reader_; }

 private:
  template <typename Read>
  bool each(const Read& read) {
    for (reader_.begin_list(); reader_.item();) {
      reader_.begin_object();
      read();
    }
    return true;
  }
  JsonReader reader_;
  const char* what_;
};

}  // namespace batchscope::train
