# One image for all processes; the command says which: docker run … flux-dispatch ingest (or dispatcher, or board, or
# --version).
# `--target demo` is another one, with what docker-compose.yml needs besides: the stand-in for GitHub and the demo's events.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
# The manifests alone: as long as these are the same, a change of the sources installs nothing anew.
COPY package.json package-lock.json ./
COPY apps/board/package.json apps/board/
COPY apps/dispatcher/package.json apps/dispatcher/
COPY apps/ingest/package.json apps/ingest/
COPY libs/event/package.json libs/event/
COPY libs/github/package.json libs/github/
COPY libs/queue/package.json libs/queue/
COPY libs/routing/package.json libs/routing/
COPY libs/runtime/package.json libs/runtime/
# What is optional is TypeScript, as a peer of a library, and native code for a faster msgpackr. Of what is left, half is
# TypeScript, which Node does not run inside node_modules, and source maps.
RUN npm ci --omit=dev --omit=optional --workspace=apps/board --workspace=apps/dispatcher --workspace=apps/ingest \
 && find node_modules -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' \) -delete \
 && rm package-lock.json \
 && chmod -R u=rwX,go=rX .


FROM dependencies AS sources
COPY libs/event libs/event
COPY libs/github libs/github
COPY libs/queue libs/queue
COPY libs/routing libs/routing
COPY libs/runtime libs/runtime
COPY apps/main.ts apps/
COPY apps/board apps/board
COPY apps/dispatcher apps/dispatcher
COPY apps/ingest apps/ingest
# Whatever the umask of the machine that they were checked out on, the user of the image can read them.
RUN chmod -R u=rwX,go=rX apps libs
ARG VERSION=dev
ARG REVISION=unknown
# What the processes say that they are (libs/runtime/build.ts). Last, as each build has another one.
RUN printf '{"version":"%s","revision":"%s"}\n' "$VERSION" "$REVISION" > build.json && chmod 444 build.json


FROM node:24-bookworm-slim AS demo-dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY dev/demo/package.json dev/demo/
COPY dev/github-stub/package.json dev/github-stub/
COPY dev/testbed/package.json dev/testbed/
COPY libs/event/package.json libs/event/
COPY libs/runtime/package.json libs/runtime/
RUN npm ci --omit=dev --omit=optional --workspace=dev/demo --workspace=dev/github-stub \
 && chmod -R u=rwX,go=rX .


FROM demo-dependencies AS demo-sources
COPY libs/event libs/event
COPY libs/runtime libs/runtime
COPY dev/demo dev/demo
COPY dev/github-stub dev/github-stub
COPY dev/testbed dev/testbed
RUN chmod -R u=rwX,go=rX dev libs \
 && mkdir /credentials


FROM gcr.io/distroless/nodejs24-debian12:nonroot AS demo
USER 0:0
WORKDIR /app
COPY --from=demo-dependencies /app ./
COPY --from=demo-sources /app/libs libs
COPY --from=demo-sources /app/dev dev
# A new volume that is mounted here belongs to the user of the image, too.
COPY --from=demo-sources --chown=65532:65532 /credentials /credentials
ENV NODE_ENV=production
USER 65532:65532
EXPOSE 9999
ENTRYPOINT ["/nodejs/bin/node"]
CMD ["dev/github-stub/main.ts"]


# Without a shell, a package manager and npm.
FROM gcr.io/distroless/nodejs24-debian12:nonroot
# Nothing of it belongs to the user that runs it.
USER 0:0
WORKDIR /app
# With its links from node_modules to the workspaces, without which Node would not run the TypeScript of libs/.
COPY --from=dependencies /app ./
COPY --from=sources /app/libs libs
COPY --from=sources /app/apps apps
COPY --from=sources /app/build.json ./
ENV NODE_ENV=production
# As numbers, or Kubernetes cannot tell that it is not root (runAsNonRoot).
USER 65532:65532
# Events (ingest), the board, and probes and metrics of every process.
EXPOSE 8080 3000 9090
# No HEALTHCHECK: Kubernetes ignores it, and where the probes are is METRICS_ADDR's to say.
ENTRYPOINT ["/nodejs/bin/node", "/app/apps/main.ts"]

ARG VERSION=dev
ARG REVISION=unknown
# Not image.created: the same sources shall make the same content, up to the times of the files.
LABEL org.opencontainers.image.title="flux-dispatch" \
      org.opencontainers.image.description="Brings Flux events to GitHub as a repository_dispatch, through a queue in Redis" \
      org.opencontainers.image.source="https://github.com/Altinn/flux-dispatch" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
