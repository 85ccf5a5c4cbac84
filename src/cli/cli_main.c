/*
 * cli_main.c
 *		Dispatch of the program's commands.
 */
#include <string.h>

#include "cli.h"

static const struct
{
	const char *name;
	int			command;
	void		(*run) (const cli_options *options);
}			commands[] = {
	{"keygen", CLI_KEYGEN, cli_keygen},
	{"public", CLI_PUBLIC, cli_public},
	{"id", CLI_ID, cli_id},
	{"encrypt", CLI_ENCRYPT, cli_encrypt},
	{"decrypt", CLI_DECRYPT, cli_decrypt},
};

int
main(int argc, char **argv)
{
	cli_options options;

	cli_begin();
	if (argc < 2)
		cli_usage_error("a command is missing: keygen, public, id, encrypt or decrypt");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
	{
		cli_print(cli_help_program);
		cli_exit(CLI_SUCCESS);
	}
	if (strcmp(argv[1], "--version") == 0)
	{
		cli_print("paillier " CLI_VERSION "\n");
		cli_exit(CLI_SUCCESS);
	}

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
		{
			cli_command = commands[i].name;
			cli_options_read(&options, commands[i].command, argc - 1, argv + 1);
			commands[i].run(&options);
			cli_exit(CLI_SUCCESS);
		}
	cli_usage_error("there is no command \"%s\": keygen, public, id, encrypt or decrypt", argv[1]);
}
