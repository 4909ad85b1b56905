#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "core/problem/mask.h"

namespace meshattn {

/// Reads a mask: "full", "causal", "window:4096" (also "window:4K"), "documents:FILE" (causal in each document), or one
/// of the first three joined to the last by '+'. `tokens` is the length of the sequence that the documents fill;
/// without it documents are refused. @throws InvalidInput naming the text, or file and line, and what would be right.
[[nodiscard]] Mask parse_mask(std::string_view text, std::optional<std::int64_t> tokens = std::nullopt);

/// Reads the documents of a sequence of `tokens` tokens: a file with their lengths between white space, where '#'
/// begins a comment that ends with its line. @throws InvalidInput naming file and line if a length is not a number of
/// tokens or the lengths do not add up to `tokens`.
[[nodiscard]] Documents read_documents(const std::filesystem::path& path, std::int64_t tokens);

}  // namespace meshattn
