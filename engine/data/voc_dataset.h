#pragma once

#include "engine/data/picture_set.h"

#include <string>

namespace batchscope::train {

struct VocOptions {
  std::string annotations;  // folder of XML files
  std::string images;       // folder of the pictures
  std::string list;   // file with a name without ending per line (ImageSets); empty: every XML
  ClassList classes;  // that decide the labels; empty: the names found, sorted
};

/// Pascal VOC annotations. A picture has the name of its XML file with .jpg, .jpeg or .png, or else
/// the one that the file gives; its id is its place among all, from 1. Corners are pixels counted
/// from 1, the last included: x = xmin - 1, w = xmax - xmin + 1, as detectron2 has them. Objects
/// marked difficult are crowd in truth(): neither trained on nor missed. Throws
/// contract::DataError: as read_voc_annotation, no folder or file, a class that `classes` does not
/// have.
SetContent read_voc(const VocOptions& options);

/// The names found, sorted; ids are labels. No picture is looked for. Throws as read_voc.
ClassList voc_classes(const VocOptions& options);

}  // namespace batchscope::train
