#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/problem/mask.h"

namespace meshattn {

/// "full", "causal" or "window:4096" (also 4K), as a model's file and the user write it; nothing if it is none of
/// these.
/// @throws InvalidInput on a window that is no number of tokens.
[[nodiscard]] std::optional<Mask> parse_sight(std::string_view text);

/// What users write for --mask: one of the above, "documents:FILE" (causal within each), or one of the above joined to
/// it by '+'. @throws InvalidInput naming the option, or file and line, and what would be right.
[[nodiscard]] Mask parse_mask(std::string_view text, std::int64_t seq);

/// The documents of a file: their lengths in tokens between white space; `#` begins a comment that ends with its line.
/// @throws InvalidInput naming file and line if a length is none, or they do not make up the `seq` tokens.
[[nodiscard]] Documents read_documents(const std::filesystem::path& path, std::int64_t seq);

}  // namespace meshattn
