// Aligned columns for people.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "cli/style.hpp"

namespace balancer::cli {

struct Cell {
    std::string text;
    Tone tone = Tone::kPlain;

    Cell(std::string t) : text(std::move(t)) {}
    Cell(const char* t) : text(t) {}
    Cell(std::string t, Tone how) : text(std::move(t)), tone(how) {}
};

// Columns are as wide as their widest cell, two spaces apart; the last one is not padded. A
// character is taken to be one column wide. Control characters in cells are shown as '?', so that a
// provider's words cannot play with the terminal.
class Table {
  public:
    // No headers: no first line.
    explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

    // Missing cells are empty.
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }

    bool empty() const { return rows_.empty(); }

    void print(std::ostream& out, Color color) const;

  private:
    std::vector<std::string> headers_;
    std::vector<std::vector<Cell>> rows_;
};

// Without control characters.
std::string printable(std::string_view text);

}  // namespace balancer::cli
