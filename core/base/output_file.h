#pragma once

#include <functional>
#include <iosfwd>
#include <string>

namespace meshattn {

/// Tells early what `write_file` would say late. `-` is standard output.
/// @throws InvalidInput if the folder is missing or may not be written, or the path is a folder.
void check_writable(const std::string& path);

/// Runs `write` on a file beside `path`, then renames it: there is never half a file, whether the disk fills up,
/// `write` throws or the user interrupts. Devices and pipes are written as they are; `-` is standard output.
/// @throws InvalidInput if it cannot be created, Error if it cannot be filled.
void write_file(const std::string& path, const std::function<void(std::ostream&)>& write);

/// Flushes standard output. @throws Error if what was printed did not arrive.
void flush_output();

}  // namespace meshattn
