#include "fcgi/slot.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct slot_page *
page_map(int fd)
{
    void *p = mmap(NULL, sizeof(struct slot_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return p != MAP_FAILED ? p : NULL;
}

struct slot_page *
slot_page_new(int *fd)
{
    struct slot_page *page = NULL;

    *fd = memfd_create("synckairos-workers", 0);
    if (*fd < 0)
        return NULL;
    if (ftruncate(*fd, (off_t)sizeof(struct slot_page)) == 0)
        page = page_map(*fd);
    if (page == NULL) {
        close(*fd);
        *fd = -1;
        return NULL;
    }
    page->master = getpid();
    return page;
}

struct slot_page *
slot_page_attach(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct slot_page))
        return NULL;
    return page_map(fd);
}
