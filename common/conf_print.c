#include "buf.h"
#include "conf_row.h"

static void
print_values(struct buf *out, const struct conf *c)
{
    for (size_t i = 0; i < conf_row_count; i++) {
        if (conf_rows[i].type == CONF_FOREIGN)
            continue;
        buf_printf(out, "%s=", conf_rows[i].env);
        conf_value_show(&conf_rows[i], c, out);
        buf_char(out, '\n');
    }
}

static void
print_env(struct buf *out)
{
    buf_str(out, "# Settings of SyncKairos with their defaults. Generated from the table of "
                 "settings by\n# `make gen`, do not edit. Durations take ms, s, m and h.\n");
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        buf_printf(out, "\n# %s\n# ", row->doc);
        conf_value_range(row, out);
        if (row->alias)
            buf_printf(out, "; older name: %s", row->alias);
        if (conf_row_is_secret(row))
            buf_printf(out, "; or %s_FILE, a file that holds it", row->env);
        buf_printf(out, "\n#%s=%s\n", row->env, row->def);
    }
}

static void
print_markdown(struct buf *out)
{
    buf_str(out, "| Name | Default | Values | What it is |\n|---|---|---|---|\n");
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        buf_printf(out, "| `%s` | ", row->env);
        if (*row->def)
            buf_printf(out, "`%s`", row->def);
        buf_str(out, " | ");
        conf_value_range(row, out);
        buf_printf(out, " | %s", row->doc);
        if (row->alias)
            buf_printf(out, " Older name: `%s`.", row->alias);
        if (conf_row_is_secret(row))
            buf_printf(out, " Or `%s_FILE`.", row->env);
        buf_str(out, " |\n");
    }
}

void
conf_print(struct buf *out, const char *as, const struct conf *c)
{
    if (strcmp(as, "values") == 0)
        print_values(out, c);
    else if (strcmp(as, "env") == 0)
        print_env(out);
    else if (strcmp(as, "markdown") == 0)
        print_markdown(out);
}
