#pragma once

#include "engine/contract/error.h"
#include "engine/data/json_reader.h"

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace batchscope::train {

struct CocoCategory {
  std::int64_t id = 0;
  std::string name;
};

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
        reader_.each(image);
        lists[0].second = true;
      } else if (key == lists[1].first) {
        reader_.each(annotation);
        lists[1].second = true;
      } else if (key == lists[2].first) {
        reader_.each(category);
        lists[2].second = true;
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
  /// An entry of the categories; its name, unless it is `named`, may be missing.
  CocoCategory category(bool named) {
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
    reader_.need(id, "id");
    reader_.need(!named || name, "name");
    return {*id, name.value_or("")};
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
  JsonReader reader_;
  const char* what_;
};

}  // namespace batchscope::train
