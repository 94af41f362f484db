"use strict";
// No validator, no query parameters, no remembered token: nothing leaves this origin.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#interface",
  deepLinking: false,
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  // Every request that changes something says that it is JSON, with a body or without: other sites' pages cannot.
  requestInterceptor: (request) => {
    if (request.method && request.method.toUpperCase() !== "GET") {
      request.headers["Content-Type"] = "application/json";
    }
    return request;
  },
});
