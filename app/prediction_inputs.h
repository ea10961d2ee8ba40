#pragma once

#include "app/class_match.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::app {

/// A picture to detect in.
struct InputPicture {
  std::string name;  // file in the folder
  std::int64_t id = 0;
};

/// The pictures of a folder, and what else it has.
struct PictureFolder {
  std::vector<InputPicture> pictures;
  std::size_t other_files = 0, folders = 0;
  std::string first_other;  // of the other files, by name

  /// "2 files that are no JPEG or PNG by their names (the first: 'c.webp') and 1 folder of 'in' are
  /// passed over."; empty where there is nothing else.
  std::string passed_over(const std::string& folder) const;
};
/// The JPEG and PNG files of a folder by name, numbered from 1. Throws contract::DataError: the
/// folder cannot be read, or has none.
PictureFolder pictures_in(const std::string& folder);

/// Gives every picture the id of the COCO file's image with its file name; pictures without one
/// leave the list. Returns a sentence on those and on images without a picture, mostly empty.
/// Throws contract::DataError: unreadable, one name with two ids, no picture in common.
std::string take_image_ids(std::vector<InputPicture>& pictures, const std::string& coco_file);

/// A file or folder that a command reads or writes; an empty path is none.
struct NamedPlace {
  std::string option, path;
  bool written = false;
};
/// Throws contract::SpecError unless what is written goes to places of its own, and over no picture
/// of a folder that is read, however the paths are spelled.
void require_separate(const std::vector<NamedPlace>& places);

/// Name of the PNG that is made of a picture.
std::string png_of(const std::string& picture);
/// Throws contract::DataError naming two pictures of which one PNG would be made.
void require_own_pngs(const std::vector<InputPicture>& pictures, const std::string& folder);

/// The classes that a file names: the categories of JSON (things by rising id, then stuff), or the
/// lines of a text file as data.classes takes them, of which as many are things as the model has.
/// Throws contract::DataError.
train::ClassList read_class_file(const std::string& path,
                                 const ModelClasses& model,
                                 std::int64_t ignored_label);

}  // namespace batchscope::app
