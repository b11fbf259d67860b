# The worker's image. Build:  docker build -t siem-export-worker .
# About 90 MB to pull and 260 MB on disk: half of it is node itself, 13 MB are the worker and its dependencies.
#
# The base is pinned by a tag that names the exact Node. For builds that are the same byte for byte, pin its digest too:
#   docker buildx imagetools inspect node:24.21.0-bookworm-slim          shows it
#   docker build --build-arg NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:… .
#
# Behind a company's registry or proxy, pass your settings as build secrets; they are not part of the image:
#   docker build --secret id=npmrc,src=$HOME/.npmrc --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt .
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Both secrets are optional. Install scripts of packages are not run, because none is needed.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \
    --mount=type=secret,id=ca,target=/run/secrets/ca.pem \
    if [ -f /run/secrets/ca.pem ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca.pem; fi \
    && npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
# Without dev dependencies, and without the files for compilers and debuggers: types and source maps.
RUN npm run build \
    && npm prune --omit=dev --ignore-scripts \
    && find dist node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

# Node and the C library, without package managers. Deleting in a layer above would hide the files but keep their size,
# so the tree is copied as one layer below.
FROM ${NODE_IMAGE} AS system
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /usr/local/share /usr/local/bin/npm /usr/local/bin/npx \
    /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg /usr/local/bin/docker-entrypoint.sh /opt/yarn-* \
    && mkdir -p /etc/siem-export && install -d -o 1000 -g 1000 /var/lib/siem-export \
    && ln -s /app/dist/main.js /usr/local/bin/siem-export

FROM scratch
ARG NODE_IMAGE
# Equal to the version in package.json; the container's check compares them.
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="siem-export-worker" \
      org.opencontainers.image.description="Exports SaaS audit logs, window by window, to S3, a folder or syslog" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production
COPY --from=system / /
WORKDIR /app
# Owned by root: the worker cannot change its own code.
COPY package.json LICENSE ./
COPY config/exporter.example.yaml ./config/
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist

# A number, so that Kubernetes can check runAsNonRoot. Volumes must be writable for this user: a named volume inherits the owner
# of this folder of the image; a host folder needs `chown 1000:1000`.
USER 1000:1000
# Relative paths of the configuration (./out, ./state) are in the volume. No VOLUME: without -v, Docker would create an
# anonymous one, and a ledger that is lost with its container is worse than an error.
WORKDIR /var/lib/siem-export
EXPOSE 9464
# Node is process 1 and handles SIGTERM itself: it leaves the current window unfinished, and the next start resumes it. It
# starts no processes, so --init is not needed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
    CMD ["siem-export", "health", "--config", "/etc/siem-export/exporter.yaml"]
ENTRYPOINT ["siem-export"]
CMD ["run", "--config", "/etc/siem-export/exporter.yaml"]
