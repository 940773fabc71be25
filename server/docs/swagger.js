// Shows /openapi.json. Nothing is asked from elsewhere, and a token that is entered stays in this page.
"use strict";
window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    persistAuthorization: false,
    supportedSubmitMethods: ["get", "head", "post"],
    tryItOutEnabled: true,
    validatorUrl: null,
});
