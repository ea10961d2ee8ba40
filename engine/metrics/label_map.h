#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

/// A picture of labels, row by row.
struct LabelMap {
  std::uint32_t height = 0, width = 0;
  std::vector<std::uint32_t> labels;
};

/// How the pixels of a PNG become labels.
enum class LabelCoding {
  kPanoptic,  // R + 256 G + 65536 B of an 8-bit RGB picture
  kSemantic,  // the value of a grey picture (1 to 16 bits), or the index of a palette
};

/// Decodes a PNG of labels; alpha is dropped, no gamma is applied. Throws contract::DataError
/// naming the file: missing, unreadable, damaged, no PNG, of another kind, more than 256 million
/// pixels.
LabelMap read_label_map(const std::string& path, LabelCoding coding);

/// Writes a PNG that read_label_map() reads back: RGB for kPanoptic, else grey of 8 or, with labels
/// above 255, 16 bits. Throws contract::StorageError naming the file; std::invalid_argument for a
/// label that does not fit (24 or 16 bits).
void write_label_map(const std::string& path, const LabelMap& map, LabelCoding coding);

/// How many pixels have the label `truth` in one map and `found` in the other.
struct LabelPair {
  std::uint32_t truth = 0, found = 0;
  std::uint64_t pixels = 0;
};
/// All pairs that occur, by rising (truth, found). Both maps of one size.
std::vector<LabelPair> count_pairs(const LabelMap& truth, const LabelMap& found);

/// Throws contract::DataError naming both files when the sizes differ.
void require_same_size(const LabelMap& truth,
                       const std::string& truth_path,
                       const LabelMap& found,
                       const std::string& found_path);

}  // namespace batchscope::train
