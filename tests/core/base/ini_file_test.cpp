#include "core/base/ini_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace meshattn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Kind = IniKey::Kind;

constexpr IniKey kKeys[] = {{"car", "name", Kind::kText},
                            {"car", "wheels", Kind::kCount},
                            {"car", "spares", Kind::kCountOrZero, false},
                            {"car", "mass_kg", Kind::kPositive, false},
                            {"car", "slip", Kind::kFraction, false},
                            {"trip", "leg", Kind::kMeasurement, false}};

constexpr std::string_view kText =
    "# a comment\n"
    "[car]\n"
    "name = a car with blanks\n"
    "wheels = 4  # counted\n"
    "mass_kg = 1e3 +- 20  # sheet # 2\n"
    "\n"
    "[trip]\r\n"
    "leg = there 3 km  # map\r\n"
    "leg = back 4 km  # map";

enum class Colour { kRed, kBlue };
constexpr EnumNames<Colour, 2> kColours{{{Colour::kRed, "red"}, {Colour::kBlue, "blue"}}};

IniFile parse(std::string_view text) { return IniFile::parse(text, "c.ini", kKeys); }

TEST(IniFile, LinesHaveValueSourceAndUncertainty) {
  const IniFile file = parse(kText);
  EXPECT_NO_THROW(file.require_all());
  EXPECT_EQ(file.text("car", "name"), "a car with blanks");
  EXPECT_EQ(file.count("car", "wheels"), 4);
  EXPECT_EQ(file.number("car", "mass_kg"), 1000);
  EXPECT_EQ(file.line("car", "mass_kg").uncertainty, 20);
  EXPECT_EQ(file.line("car", "mass_kg").source, "sheet # 2");
  EXPECT_EQ(file.line("car", "mass_kg").where, "c.ini:5");
  std::vector<std::string> legs;
  for (const IniLine& line : file.lines())
    if (line.key->name == "leg") legs.push_back(line.value);
  EXPECT_THAT(legs, ElementsAre("there 3 km", "back 4 km"));
}

TEST(IniFile, AMissingKeyHasADefault) {
  const IniFile file = parse("[car]\nname = blue\nwheels = 4 # x");
  EXPECT_FALSE(file.has("car", "spares"));
  EXPECT_FALSE(file.has("trip"));
  EXPECT_EQ(file.count_or("car", "spares", 7), 7);
  EXPECT_EQ(file.count_or("car", "wheels", 7), 4);
  EXPECT_EQ(file.number_or("car", "slip", 0.25), 0.25);
  EXPECT_EQ(file.name_or("car", "name", kColours, Colour::kRed), Colour::kBlue);
  EXPECT_EQ(file.name_or("car", "colour", kColours, Colour::kRed), Colour::kRed);
  EXPECT_THROW((void)file.number("car", "slip"), InvalidInput);
  EXPECT_THAT([] { (void)parse("[car]\nname = green").name_or("car", "name", kColours, Colour::kRed); },
              ThrowsMessage<InvalidInput>("c.ini:2: unknown name of car 'green': possible are red, blue"));
}

TEST(IniFile, ASettingReplacesALine) {
  IniFile file = parse(kText);
  file.set("car.mass_kg=5 +- 1");
  file.set(" car.mass_kg = 6");
  EXPECT_EQ(file.number("car", "mass_kg"), 6);
  const IniLine& line = file.line("car", "mass_kg");
  EXPECT_TRUE(line.by_setting);
  EXPECT_EQ(line.replaced, "1e3");
  EXPECT_EQ(line.uncertainty, 0);
  EXPECT_THAT([&] { file.set("car.mas_kg=6"); }, ThrowsMessage<InvalidInput>(HasSubstr("did you mean 'mass_kg'?")));
}

TEST(IniFile, ARequiredKeyMayComeFromASetting) {
  IniFile file = parse("[car]\nname = x");
  EXPECT_THAT([&] { file.require_all(); },
              ThrowsMessage<InvalidInput>("c.ini: no 'wheels' in [car], which must be there"));
  file.set("car.wheels=3");
  EXPECT_NO_THROW(file.require_all());
}

TEST(IniFile, ANumberOutsideItsKindIsRefused) {
  for (const char* line : {"wheels = 0", "wheels = 1.5", "spares = -1", "mass_kg = 0", "mass_kg = 1e13", "slip = 0",
                           "slip = 1.1", "wheels = 4 +- 1", "mass_kg = 1 +- 0", "mass_kg ="})
    EXPECT_THROW((void)parse(std::string("[car]\n") + line + "  # x"), InvalidInput) << line;
  EXPECT_THROW((void)parse("[car]\nwheels = 4"), InvalidInput);  // no source
  EXPECT_NO_THROW((void)parse("[car]\nspares = 0 # x"));
}

TEST(IniFile, FilesOfAFolderAreFoundByName) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "meshattn_ini_file_test";
  std::filesystem::create_directories(folder);
  for (const char* name : {"b.ini", "a.ini", "c.txt"}) std::ofstream(folder / name) << "[car]\n";
  EXPECT_THAT(ini_names(folder), ElementsAre("a", "b"));
  EXPECT_EQ(find_ini("car", "b", folder), folder / "b.ini");
  EXPECT_EQ(find_ini("car", (folder / "c.txt").string(), folder), folder / "c.txt");
  EXPECT_THAT([&] { (void)find_ini("car", "d", folder); }, ThrowsMessage<InvalidInput>(HasSubstr("unknown car 'd'")));
  EXPECT_THROW((void)ini_names(folder / "none"), InvalidInput);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace meshattn
