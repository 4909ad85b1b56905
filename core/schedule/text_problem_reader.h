#pragma once

#include "core/base/text_scanner.h"
#include "core/problem/problem.h"

namespace meshattn {

/// Reads a field of a schedule's text, a line "name number", and goes to the next line.
/// @throws InvalidInput if the line is not such or the number is larger than `most`.
std::uint64_t read_field(TextScanner& scan, std::string_view name, std::uint64_t most);

/// Reads the lines of a schedule's text that describe its problem, "ranks" to "pass". The result is not checked yet.
/// @throws InvalidInput "file:line:column: expected …, found …".
[[nodiscard]] Problem read_problem(TextScanner& scan);

}  // namespace meshattn
