#pragma once

#include <functional>
#include <iosfwd>
#include <string>

namespace meshattn {

/// Checks, before a long computation, that `write_file` can create the file. "-" is standard output.
/// @throws InvalidInput if the folder is missing or not writable, or the path is a folder.
void check_writable(const std::string& path);

/// Runs `write` on a temporary file beside `path`, then renames it: `path` never holds half a file, whether the disk is
/// full, `write` throws or the user interrupts. Devices and pipes are written in place; "-" is standard output.
/// @throws InvalidInput if the file cannot be created, Error if it cannot be written.
void write_file(const std::string& path, const std::function<void(std::ostream&)>& write);

/// Flushes standard output. @throws Error if some output was lost.
void flush_output();

}  // namespace meshattn
