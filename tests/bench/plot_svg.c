#include "tests/bench/plot_svg.h"

#include <math.h>
#include <string.h>

#include "tests/bench/plot_axis.h"

#define WIDTH 760
#define HEIGHT 420
#define LEFT 70
#define RIGHT 24
#define BOTTOM 56
#define TITLE_HEIGHT 34
#define LEGEND_ROW 20
#define LETTER_WIDTH 7 /* of sans-serif at 12 pixels, on the wide side */
#define LEGEND_SAMPLE 34
#define COLOURS 8
#define MARKED_MAX 10  /* so many different x are marked on their axis, each where it is */
#define MARK_APART 28  /* pixels that two marks keep between them, for their labels */
#define CAPTION_ROW 16
#define CAPTION_LETTERS 104 /* of a line, of sans-serif at 11 pixels */
#define WIDE_RANGE 20 /* counts, as of connections, whose greatest is so many times their least: by their logarithm */

/* A colour for a group, a pattern for a measure. Colours that colour-blind readers tell apart, too (Okabe, Ito). */
static const char style[] =
    "<style>\n"
    "svg{font-family:system-ui,sans-serif;font-size:12px}\n"
    ".page{fill:#fff}text{fill:#24292f}.title{font-size:15px;font-weight:600}.caption{font-size:11px}\n"
    ".grid{stroke:#d0d7de;stroke-width:1}.axis{stroke:#57606a;stroke-width:1}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.m1{stroke-dasharray:6 3}.m2{stroke-dasharray:2 3}\n"
    ".m3{stroke-dasharray:9 3 2 3}\n"
    ".c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#009e73}.c3{stroke:#cc79a7}.c4{stroke:#56b4e9}\n"
    ".c5{stroke:#e69f00}.c6{stroke:#777}.c7{stroke:#8250df}\n"
    "circle{stroke-width:2;fill:#fff}\n"
    "@media (prefers-color-scheme:dark){.page,circle{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#30363d}\n"
    ".axis{stroke:#8b949e}.c0{stroke:#58a6ff}.c6{stroke:#aaa}.c7{stroke:#bc8cff}}\n"
    "</style>\n";

struct drawing {
    const struct plot_data *data;
    const struct plot_choice *choice;
    struct buffer *out;
    struct plot_axis x, y;
    double top;
};

static void escape_bytes(struct buffer *out, const char *text, size_t length)
{
    for (const char *end = text + length; text < end; text++) {
        if (*text == '&')
            buffer_append_string(out, "&amp;");
        else if (*text == '<')
            buffer_append_string(out, "&lt;");
        else if (*text == '>')
            buffer_append_string(out, "&gt;");
        else
            buffer_append(out, (unsigned char)*text < 0x20 ? " " : text, 1);
    }
}

static void escape(struct buffer *out, const char *text)
{
    escape_bytes(out, text, strlen(text));
}

static double x_of(const struct drawing *d, double value)
{
    return LEFT + plot_axis_place(&d->x, value) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct drawing *d, double value)
{
    return HEIGHT - BOTTOM - plot_axis_place(&d->y, value) * (HEIGHT - BOTTOM - d->top);
}

/* --- axes --- */

/* Rates are compared by their size; what is doubled from run to run shows better by its logarithm. */
static bool is_rate(const char *field)
{
    return strcmp(field, "rate") == 0 || strstr(field, "per_s") != NULL;
}

/* Of up to `room` different x; one more when there are more. */
static size_t different_x(const struct plot_data *data, double *x, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < data->count; i++) {
        const struct plot_point *points = plot_line_points(&data->lines[i]);
        for (size_t k = 0; k < plot_line_count(&data->lines[i]); k++) {
            size_t at = 0;
            while (at < count && x[at] < points[k].x)
                at++;
            if (at < count && x[at] == points[k].x)
                continue;
            if (count == room)
                return room + 1;
            memmove(x + at + 1, x + at, (count++ - at) * sizeof *x);
            x[at] = points[k].x;
        }
    }
    return count;
}

static void mark_x(struct drawing *d)
{
    double x[MARKED_MAX];
    size_t count = different_x(d->data, x, MARKED_MAX);
    if (count > 1 && count <= MARKED_MAX && !is_rate(d->choice->x))
        plot_axis_mark(&d->x, x, count, (double)MARK_APART / (WIDTH - LEFT - RIGHT));
}

static void fit_axes(struct drawing *d)
{
    struct plot_point least = {INFINITY, INFINITY}, most = {0, 0};
    for (size_t i = 0; i < d->data->count; i++) {
        const struct plot_point *points = plot_line_points(&d->data->lines[i]);
        for (size_t k = 0; k < plot_line_count(&d->data->lines[i]); k++) {
            least = (struct plot_point){fmin(least.x, points[k].x), fmin(least.y, points[k].y)};
            most = (struct plot_point){fmax(most.x, points[k].x), fmax(most.y, points[k].y)};
        }
    }
    plot_axis_fit(&d->x, !is_rate(d->choice->x) && most.x >= WIDE_RANGE * least.x, least.x, most.x);
    plot_axis_fit(&d->y, plot_is_latency(d->choice->y[0]), least.y, most.y);
    mark_x(d);
}

static const char *words_for(const char *field)
{
    static const char *const words[][2] = {
        {"per_s", "answers/s"},         {"drafts_per_s", "drafts/s"},        {"rate", "offered, requests/s"},
        {"batch", "drafts in a batch"}, {"workers", "workers"},              {"connections", "connections"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(field, words[i][0]) == 0)
            return words[i][1];
    return field;
}

static const char *scale_of(const struct plot_axis *axis)
{
    return axis->logarithmic ? " (logarithmic)" : "";
}

static void draw_x_axis(const struct drawing *d)
{
    char label[32];
    for (size_t i = 0; i < d->x.tick_count; i++) {
        double at = x_of(d, d->x.ticks[i]);
        plot_axis_label(d->x.ticks[i], label, sizeof label);
        buffer_printf(d->out, "<path class=\"grid\" d=\"M%.1f %.1fV%d\"/>", at, d->top, HEIGHT - BOTTOM);
        buffer_printf(d->out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", at,
                      HEIGHT - BOTTOM + 18, label);
    }
    buffer_printf(d->out, "<path class=\"axis\" d=\"M%d %dH%d\"/>", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
    buffer_printf(d->out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14);
    escape(d->out, words_for(d->choice->x));
    buffer_printf(d->out, "%s%s</text>\n", plot_is_latency(d->choice->x) ? ", ms" : "", scale_of(&d->x));
}

static void name_y_axis(const struct drawing *d)
{
    double middle = (d->top + HEIGHT - BOTTOM) / 2;
    buffer_printf(d->out, "<text transform=\"translate(18 %.1f) rotate(-90)\" text-anchor=\"middle\">", middle);
    if (plot_is_latency(d->choice->y[0]))
        buffer_append_string(d->out, "latency, ms");
    else
        escape(d->out, words_for(d->choice->y[0]));
    buffer_printf(d->out, "%s</text>\n", scale_of(&d->y));
}

static void draw_y_axis(const struct drawing *d)
{
    char label[32];
    for (size_t i = 0; i < d->y.tick_count; i++) {
        double at = y_of(d, d->y.ticks[i]);
        plot_axis_label(d->y.ticks[i], label, sizeof label);
        buffer_printf(d->out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, at, WIDTH - RIGHT);
        buffer_printf(d->out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 8, at + 4, label);
    }
    name_y_axis(d);
}

/* --- lines --- */

/* The place of a line's group among the groups. */
static size_t group_number(const struct plot_data *data, size_t line)
{
    size_t number = 0;
    for (size_t i = 0; i < line; i++) {
        if (strcmp(data->lines[i].group, data->lines[line].group) == 0)
            return group_number(data, i);
        size_t k = 0;
        while (strcmp(data->lines[k].group, data->lines[i].group) != 0)
            k++;
        number += k == i; /* the first of its group */
    }
    return number;
}

static void draw_line(const struct drawing *d, size_t number)
{
    const struct plot_line *line = &d->data->lines[number];
    const struct plot_point *points = plot_line_points(line);
    size_t colour = group_number(d->data, number) % COLOURS;
    buffer_printf(d->out, "<path class=\"line c%zu m%zu\" d=\"", colour, line->measure);
    for (size_t i = 0; i < plot_line_count(line); i++)
        buffer_printf(d->out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(d, points[i].x), y_of(d, points[i].y));
    buffer_printf(d->out, "\"/>\n<g class=\"c%zu\">", colour);
    for (size_t i = 0; i < plot_line_count(line); i++)
        buffer_printf(d->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>", x_of(d, points[i].x),
                      y_of(d, points[i].y));
    buffer_append_string(d->out, "</g>\n");
}

static void legend_text(const struct drawing *d, size_t number, struct buffer *out)
{
    const struct plot_line *line = &d->data->lines[number];
    buffer_clear(out);
    buffer_append_string(out, line->group);
    if (d->choice->y_count > 1 || out->len == 0)
        buffer_printf(out, "%s%s", out->len ? ", " : "", words_for(d->choice->y[line->measure]));
    buffer_append(out, "", 1);
}

/* Draws it, or only finds out where it ends: the height of it. */
static int legend(const struct drawing *d, int top, bool draw)
{
    struct buffer text = {0};
    int x = LEFT, y = top;
    for (size_t i = 0; i < d->data->count; i++) {
        legend_text(d, i, &text);
        int width = LEGEND_SAMPLE + LETTER_WIDTH * (int)text.len + 12;
        if (x + width > WIDTH - RIGHT && x > LEFT) {
            x = LEFT;
            y += LEGEND_ROW;
        }
        if (draw) {
            buffer_printf(d->out, "<path class=\"line c%zu m%zu\" d=\"M%d %dh28\"/><text x=\"%d\" y=\"%d\">",
                          group_number(d->data, i) % COLOURS, d->data->lines[i].measure, x, y + 10,
                          x + LEGEND_SAMPLE, y + 14);
            escape(d->out, (char *)text.base);
            buffer_append_string(d->out, "</text>\n");
        }
        x += width;
    }
    buffer_free(&text);
    return y + LEGEND_ROW - top;
}

/* --- the caption --- */

/* The bytes of its next line: up to the last space that leaves it short enough. */
static size_t caption_line(const char *text)
{
    size_t length = strlen(text), at = CAPTION_LETTERS;
    if (length <= CAPTION_LETTERS)
        return length;
    while (at > 0 && text[at] != ' ')
        at--;
    if (at > 0)
        return at;
    for (at = CAPTION_LETTERS; at > 1 && ((unsigned char)text[at] & 0xc0) == 0x80; at--)
        ; /* a letter in UTF-8 stays whole */
    return at;
}

/* Draws it below the chart, or only finds out how high it is. */
static int caption(const struct drawing *d, const char *text, bool draw)
{
    int height = 0;
    while (text && *text) {
        size_t length = caption_line(text);
        if (draw) {
            buffer_printf(d->out, "<text class=\"caption\" x=\"%d\" y=\"%d\">", LEFT, HEIGHT + height + 8);
            escape_bytes(d->out, text, length);
            buffer_append_string(d->out, "</text>\n");
        }
        text += length;
        text += strspn(text, " ");
        height += CAPTION_ROW;
    }
    return height;
}

void plot_svg(const struct plot_data *data, const struct plot_choice *choice, const char *title, const char *words,
              struct buffer *out)
{
    struct drawing d = {.data = data, .choice = choice, .out = out};
    int height = HEIGHT + caption(&d, words, false);
    int legend_top = title ? TITLE_HEIGHT : 8;
    d.top = legend_top + legend(&d, legend_top, false) + 10;
    fit_axes(&d);
    buffer_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH,
                  height);
    if (title) {
        buffer_append_string(out, "<title>");
        escape(out, title);
        buffer_append_string(out, "</title>\n");
    }
    buffer_append_string(out, style);
    buffer_printf(out, "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n", WIDTH, height);
    if (title) {
        buffer_printf(out, "<text class=\"title\" x=\"%d\" y=\"24\">", LEFT);
        escape(out, title);
        buffer_append_string(out, "</text>\n");
    }
    draw_x_axis(&d);
    draw_y_axis(&d);
    for (size_t i = 0; i < data->count; i++)
        draw_line(&d, i);
    (void)legend(&d, legend_top, true);
    (void)caption(&d, words, true);
    buffer_append_string(out, "</svg>\n");
}
