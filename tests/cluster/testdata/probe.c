/* A server and a client in one static program, for an image with nothing else in it.
   probe serve                 answers each HTTP request on port 8080: /read/FILE with that file, /get/HOST/PORT with what that server answers to "/",
                               anything else with the name of this host
   probe get HOST PORT PATH    prints the answer of that server */
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Asks for PATH and writes the body to OUT. Returns a message when that fails, else 0. */
static const char *get(const char *host, const char *port, const char *path, FILE *out) {
  static char text[4096];
  struct addrinfo *found, hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
  int error = getaddrinfo(host, port, &hints, &found);
  if (error) return gai_strerror(error);
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval limit = {.tv_sec = 3};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  error = connect(s, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  if (error) return close(s), "cannot connect";
  dprintf(s, "GET %s HTTP/1.0\r\n\r\n", path);
  size_t length = 0;
  ssize_t n;
  while ((n = read(s, text + length, sizeof text - 1 - length)) > 0) length += n;
  close(s);
  text[length] = 0;
  char *body = strstr(text, "\r\n\r\n");
  if (!body) return "no answer";
  fputs(body + 4, out);
  return 0;
}

static void answer(FILE *client) {
  char path[1024] = "", line[1024], host[256];
  if (!fgets(line, sizeof line, client) || sscanf(line, "GET %1023s", path) != 1) return;
  while (fgets(line, sizeof line, client) && strcmp(line, "\r\n")) {}
  fputs("HTTP/1.0 200 OK\r\n\r\n", client);
  if (!strncmp(path, "/read/", 6)) {
    FILE *file = fopen(path + 5, "r");
    while (file && fgets(line, sizeof line, file)) fputs(line, client);
    if (file) fclose(file);
  } else if (!strncmp(path, "/get/", 5)) {
    char *name = strtok(path + 5, "/"), *port = strtok(0, "/");
    const char *problem = name && port ? get(name, port, "/", client) : "not a host and a port";
    if (problem) fprintf(client, "failed: %s\n", problem);
  } else {
    gethostname(host, sizeof host);
    fprintf(client, "%s\n", host);
  }
}

int main(int argc, char **argv) {
  if (argc == 5 && !strcmp(argv[1], "get")) {
    const char *problem = get(argv[2], argv[3], argv[4], stdout);
    if (problem) fprintf(stderr, "%s: %s\n", argv[2], problem);
    return problem != 0;
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);
  int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(s, (struct sockaddr *)&address, sizeof address) || listen(s, 64)) return perror("listen"), 1;
  puts("listening on 8080");
  fflush(stdout);
  for (;;) {
    FILE *client = fdopen(accept(s, 0, 0), "r+");
    if (!client) continue;
    if (fork() == 0) { /* a process each, as one that asks the Service may be asked by itself */
      answer(client);
      fclose(client);
      _exit(0);
    }
    fclose(client);
  }
}
