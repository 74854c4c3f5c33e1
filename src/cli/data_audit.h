/* data_audit.h - effnet data audit: the third of the verb's commands. */
#ifndef EFFNET_CLI_DATA_AUDIT_H
#define EFFNET_CLI_DATA_AUDIT_H

/* argv[0] is "audit". Returns the exit status. */
int data_audit(int argc, char **argv);

#endif
