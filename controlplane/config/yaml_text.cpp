#include "controlplane/config/yaml_text.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <vector>

namespace balancer::controlplane {
namespace {

struct Line {
    std::size_t begin = 0;
    std::size_t end = 0;     // behind the line break
    std::size_t indent = 0;  // blanks in front
    bool content = false;    // neither empty nor a comment
    bool dash = false;       // begins with "- "
    bool comment = false;
};

std::vector<Line> lines_of(std::string_view text) {
    std::vector<Line> lines;
    for (std::size_t at = 0; at < text.size();) {
        Line line;
        line.begin = at;
        std::size_t stop = std::min(text.find('\n', at), text.size());
        line.end = std::min(stop + 1, text.size());
        std::string_view body = text.substr(at, stop - at);
        if (body.ends_with('\r')) body.remove_suffix(1);
        line.indent = std::min(body.find_first_not_of(' '), body.size());
        body.remove_prefix(line.indent);
        bool blank = body.find_first_not_of(" \t") == std::string_view::npos;
        line.comment = body.starts_with('#');
        line.content = !blank && !line.comment;
        line.dash = body == "-" || body.starts_with("- ");
        lines.push_back(line);
        at = line.end;
    }
    return lines;
}

// The text, its lines and its nodes.
struct Document {
    const std::string& text;
    std::vector<Line> lines;
    YAML::Node root;

    explicit Document(const std::string& yaml)
        : text(yaml), lines(lines_of(yaml)), root(YAML::Load(yaml)) {}

    YAML::Node find(const YamlPath& path) const {
        YAML::Node node;
        node.reset(root);
        for (const YamlStep& step : path) {
            YAML::Node next;
            if (const auto* key = std::get_if<std::string>(&step)) {
                for (const auto& pair : node) {
                    if (pair.first.IsScalar() && pair.first.Scalar() == *key)
                        next.reset(pair.second);
                }
            } else {
                std::size_t index = 0;
                for (const YAML::Node& item : node) {
                    if (index++ == std::get<std::size_t>(step)) next.reset(item);
                }
            }
            if (next.IsNull()) return next;
            node.reset(next);
        }
        return node;
    }

    static std::size_t line_of(const YAML::Node& node) {
        return static_cast<std::size_t>(std::max(node.Mark().line, 0));
    }
    static std::size_t column_of(const YAML::Node& node) {
        return static_cast<std::size_t>(std::max(node.Mark().column, 0));
    }
    static std::size_t at(const YAML::Node& node) {
        return static_cast<std::size_t>(std::max(node.Mark().pos, 0));
    }

    // The first line from `line` on that is content and no part of a block whose lines stand at
    // `column` or deeper. With `lists`, a "- " at `column` is a part of it as well.
    std::size_t block_end(std::size_t line, std::size_t column, bool lists) const {
        for (; line < lines.size(); ++line) {
            if (!lines[line].content) continue;
            if (lines[line].indent >= column + 1) continue;
            if (lists && lines[line].indent == column && lines[line].dash) continue;
            return line;
        }
        return lines.size();
    }

    // Behind the last content line before `end`.
    std::size_t insertion(std::size_t end) const {
        while (end > 0 && !lines[end - 1].content) --end;
        return end;
    }

    // Behind the comment lines from `line` on that are indented deeper than `column`: they belong
    // to what stands above them.
    std::size_t own_comments_end(std::size_t line, std::size_t column) const {
        while (line < lines.size() && lines[line].comment && lines[line].indent > column) ++line;
        return line;
    }

    std::string with_lines(std::size_t before_line, const std::string& added) const {
        std::size_t at = before_line < lines.size() ? lines[before_line].begin : text.size();
        std::string out = text.substr(0, at);
        if (!out.empty() && out.back() != '\n') out += '\n';
        return out + added + text.substr(at);
    }

    std::string without(std::size_t begin, std::size_t end) const {
        return text.substr(0, begin) + text.substr(end);
    }
};

bool is_block(const YAML::Node& node) {
    return node.Style() == YAML::EmitterStyle::Block;
}

// Runs `work` on the document; whatever the library objects to is a place that is not known.
template <class Work>
std::optional<std::string> on_document(const std::string& yaml, Work work) {
    try {
        return work(Document(yaml));
    } catch (const YAML::Exception&) {
        return std::nullopt;
    }
}

std::optional<std::string> add_to_flow_map(
    const Document& document, const YAML::Node& map, const std::string& line
) {
    YAML::Node last;
    for (const auto& pair : map) last.reset(pair.second);
    if (!last.IsScalar()) return std::nullopt;
    std::optional<TextRange> range = scalar_range(document.text, Document::at(last));
    if (!range) return std::nullopt;
    return document.text.substr(0, range->end) + ", " + line + document.text.substr(range->end);
}

std::optional<std::string> add_key(
    const Document& document, const YAML::Node& map, const std::string& line
) {
    if (!map.IsMap() || map.size() == 0) return std::nullopt;
    if (!is_block(map)) return add_to_flow_map(document, map, line);
    const YAML::Node first = map.begin()->first;
    std::size_t column = Document::column_of(first);
    // A map has no line less deep than its keys.
    std::size_t end = column == 0
                          ? document.lines.size()
                          : document.block_end(Document::line_of(first) + 1, column - 1, false);
    std::size_t before = document.insertion(end);
    return document.with_lines(before, std::string(column, ' ') + line + '\n');
}

std::string key_text(const std::string& key) {
    return to_yaml_scalar(plain_scalar(key)) + ": ";
}

}  // namespace

std::optional<TextRange> scalar_range(std::string_view text, std::size_t at) {
    while (at < text.size() && (text[at] == '&' || text[at] == '!')) {
        at = std::min(text.find_first_of(" \n", at), text.size());
        at = std::min(text.find_first_not_of(' ', at), text.size());
    }
    if (at >= text.size()) return std::nullopt;
    if (text[at] == '"') {
        for (std::size_t i = at + 1; i < text.size(); ++i) {
            if (text[i] == '\\') {
                ++i;
            } else if (text[i] == '"') {
                return TextRange{at, i + 1};
            }
        }
        return std::nullopt;
    }
    if (text[at] == '\'') {
        for (std::size_t i = at + 1; i < text.size(); ++i) {
            if (text[i] != '\'') continue;
            if (i + 1 == text.size() || text[i + 1] != '\'') return TextRange{at, i + 1};
            ++i;
        }
        return std::nullopt;
    }
    if (text[at] == '|' || text[at] == '>' || text[at] == '*' || text[at] == '\n') {
        return std::nullopt;
    }
    // Plain. In a flow map it ends earlier; in a block these characters are part of it, and the
    // reader of this range sees a difference.
    std::size_t line_end = std::min(text.find('\n', at), text.size());
    std::size_t comment = text.substr(0, line_end).find(" #", at);
    std::size_t end = std::min(comment, line_end);
    end = std::min(text.substr(0, end).find_first_of(",]}", at), end);
    while (end > at && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r'))
        --end;
    return TextRange{at, end};
}

std::optional<std::string> set_key(
    const std::string& yaml, const YamlPath& path, const std::string& key, const YamlTree& scalar
) {
    return on_document(yaml, [&](const Document& document) -> std::optional<std::string> {
        const YAML::Node map = document.find(path);
        if (!map.IsMap()) return std::nullopt;
        for (const auto& pair : map) {
            if (!pair.first.IsScalar() || pair.first.Scalar() != key) continue;
            if (!pair.second.IsScalar()) return std::nullopt;
            std::optional<TextRange> range = scalar_range(document.text, Document::at(pair.second));
            if (!range) return std::nullopt;
            return document.text.substr(0, range->begin) + to_yaml_scalar(scalar) +
                   document.text.substr(range->end);
        }
        return add_key(document, map, key_text(key) + to_yaml_scalar(scalar));
    });
}

std::optional<std::string> remove_key(
    const std::string& yaml, const YamlPath& path, const std::string& key
) {
    return on_document(yaml, [&](const Document& document) -> std::optional<std::string> {
        const YAML::Node map = document.find(path);
        if (!map.IsMap() || !is_block(map)) return std::nullopt;
        std::optional<std::size_t> begin;  // of the key's text
        std::optional<std::size_t> next;   // of the key after it
        std::size_t column = 0;
        std::size_t line = 0;
        for (const auto& pair : map) {
            if (begin) {
                next = Document::at(pair.first);
                break;
            }
            if (!pair.first.IsScalar() || pair.first.Scalar() != key) continue;
            begin = Document::at(pair.first);
            column = Document::column_of(pair.first);
            line = Document::line_of(pair.first);
        }
        if (!begin || line >= document.lines.size()) return std::nullopt;
        const Line& own = document.lines[line];
        if (own.begin + own.indent != *begin) {
            // Behind a dash: the next key moves up to it.
            if (!next) return std::nullopt;
            return document.without(*begin, *next);
        }
        std::size_t end = document.insertion(document.block_end(line + 1, column, true));
        return document.without(
            own.begin, end < document.lines.size() ? document.lines[end].begin : yaml.size()
        );
    });
}

std::optional<std::string> add_list(
    const std::string& yaml, const YamlPath& path, const std::string& key, const YamlTree& list
) {
    return on_document(yaml, [&](const Document& document) -> std::optional<std::string> {
        const YAML::Node map = document.find(path);
        if (!map.IsMap() || map.size() == 0 || !is_block(map)) return std::nullopt;
        std::string indent(Document::column_of(map.begin()->first) + 2, ' ');
        std::string lines = key_text(key);
        lines.pop_back();
        for (const YamlTree& item : list.items) {
            lines += "\n" + indent + "- " + to_flow_map(item);
        }
        return add_key(document, map, lines);
    });
}

std::optional<std::string> append_item(
    const std::string& yaml, const YamlPath& path, const YamlTree& item
) {
    return on_document(yaml, [&](const Document& document) -> std::optional<std::string> {
        const YAML::Node list = document.find(path);
        if (!list.IsSequence() || list.size() == 0 || !is_block(list)) return std::nullopt;
        std::size_t column = Document::column_of(list);
        YAML::Node last;
        for (const YAML::Node& each : list) last.reset(each);
        std::size_t before = document.own_comments_end(
            document.insertion(document.block_end(Document::line_of(list) + 1, column, true)),
            column
        );
        std::string dash = std::string(column, ' ') + '-';
        if (!is_block(last)) {
            return document.with_lines(before, dash + ' ' + to_flow_map(item) + '\n');
        }
        std::string lines;
        for (const auto& [key, value] : item.entries) {
            lines += lines.empty() ? dash + ' ' : std::string(column + 2, ' ');
            lines += key_text(key) + to_yaml_scalar(value) + '\n';
        }
        return document.with_lines(before, lines);
    });
}

std::optional<std::string> remove_item(
    const std::string& yaml, const YamlPath& path, std::size_t index
) {
    return on_document(yaml, [&](const Document& document) -> std::optional<std::string> {
        const YAML::Node list = document.find(path);
        if (!list.IsSequence() || index >= list.size() || !is_block(list)) return std::nullopt;
        std::size_t column = Document::column_of(list);
        std::size_t nth = 0;
        std::size_t line = Document::line_of(list);
        for (; line < document.lines.size(); ++line) {
            const Line& each = document.lines[line];
            if (each.content && each.dash && each.indent == column && nth++ == index) break;
        }
        if (line >= document.lines.size()) return std::nullopt;
        std::size_t end = document.own_comments_end(
            document.insertion(document.block_end(line + 1, column, false)), column
        );
        while (line > 0 && document.lines[line - 1].comment &&
               document.lines[line - 1].indent == column) {
            --line;
        }
        return document.without(
            document.lines[line].begin,
            end < document.lines.size() ? document.lines[end].begin : yaml.size()
        );
    });
}

std::string to_flow_map(const YamlTree& map) {
    std::string out = "{";
    for (const auto& [key, value] : map.entries) {
        if (out.size() > 1) out += ", ";
        out += key_text(key) + to_yaml_scalar(value);
    }
    return out + '}';
}

}  // namespace balancer::controlplane
