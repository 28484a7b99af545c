#include "cli/table.hpp"

#include <algorithm>

namespace balancer::cli {
namespace {

// UTF-8 characters, not bytes.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        unsigned char byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) c = '?';
    }
    return out;
}

void Table::print(std::ostream& out, Color color) const {
    std::vector<std::vector<Cell>> lines;
    if (!headers_.empty()) {
        std::vector<Cell> head;
        for (const std::string& title : headers_) head.emplace_back(title, Tone::kBold);
        lines.push_back(std::move(head));
    }
    lines.insert(lines.end(), rows_.begin(), rows_.end());

    std::vector<std::size_t> widths;
    for (std::vector<Cell>& line : lines) {
        widths.resize(std::max(widths.size(), line.size()));
        for (std::size_t i = 0; i < line.size(); ++i) {
            line[i].text = printable(line[i].text);
            widths[i] = std::max(widths[i], width_of(line[i].text));
        }
    }
    for (const std::vector<Cell>& line : lines) {
        std::string text;
        std::size_t owed = 0;  // padding is written only when something follows it
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (!line[i].text.empty()) {
                text.append(owed, ' ');
                owed = 0;
                text += paint(line[i].text, line[i].tone, color);
            }
            owed += widths[i] - width_of(line[i].text) + 2;
        }
        out << text << '\n';
    }
}

}  // namespace balancer::cli
