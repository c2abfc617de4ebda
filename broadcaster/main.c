#include "common/conf.h"
#include "loop.h"

int
main(int argc, char **argv)
{
    struct conf *conf = conf_start(argc, argv, "broadcaster");
    int status = loop_run(conf);

    conf_free(conf);
    return status;
}
