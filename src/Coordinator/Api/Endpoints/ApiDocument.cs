using LlamaCluster.Coordinator.Api.Keys;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.OpenApi;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>
/// The API's description as OpenAPI has it (https://spec.openapis.org). Requests are read from JSON field by field and have no types of their own, so
/// what each address takes is said here; docs/api.md says what becomes of each field. Addresses and methods are those that are mapped.
/// </summary>
sealed class ApiDocument(EndpointDataSource endpoints, ApiKeys keys) : IOpenApiDocumentTransformer
{
    public const string Address = "/openapi.json";

    const string Json = "application/json";
    const string Events = "text/event-stream";
    const string Lines = "application/x-ndjson";
    const string Plain = "text/plain";
    const string Page = "text/html";

    const string Sampling = " model:string temperature:number top_p:number stream:boolean";
    const string Session = " session_id:string session_mode:string keep_partial:boolean truncation:string";
    const string Chat = "messages:array! tools:array tool_choice:any parallel_tool_calls:boolean response_format:object max_completion_tokens:integer n:integer"
        + " stop:any seed:integer logprobs:boolean top_logprobs:integer" + Sampling + Session;

    /// <summary>Address, who has it, what it does, the fields of its body ("name:type", with "!" if it must be there), and what answers are.</summary>
    static readonly (string Address, string Of, string Summary, string Fields, string[] Answers)[] Known =
    [
        ("/v1/chat/completions", "OpenAI", "The next message of a chat, whole or as a stream", Chat, [Json, Events]),
        ("/v1/completions", "OpenAI", "What follows a text",
            "prompt:any! suffix:string max_tokens:integer n:integer echo:boolean logprobs:integer stop:any seed:integer" + Sampling, [Json, Events]),
        ("/v1/responses", "OpenAI", "A response to items, which can be kept and gone on from",
            "input:any! instructions:string previous_response_id:string store:boolean tools:array tool_choice:any text:object"
            + " max_output_tokens:integer metadata:object" + Sampling, [Json, Events]),
        ("/v1/responses/{id}", "OpenAI", "A response that is kept", "", [Json]),
        ("/v1/responses/{id}/input_items", "OpenAI", "The items that a kept response answered", "", [Json]),
        ("/v1/embeddings", "OpenAI", "Vectors of texts", "input:any! model:string encoding_format:string dimensions:integer user:string", [Json]),
        ("/v1/models", "OpenAI", "The model that is served", "", [Json]),
        ("/v1/models/{id}", "OpenAI", "The model of this name", "", [Json]),
        ("/v1/load_lora_adapter", "vLLM", "Loads an adapter from a folder that the operator has named",
            "lora_name:string! lora_path:string! load_inplace:boolean", [Plain]),
        ("/v1/unload_lora_adapter", "vLLM", "Takes an adapter's name away, and the adapter when nobody uses it any more", "lora_name:string!", [Plain]),
        ("/v1/messages", "Anthropic", "The next message of a chat, whole or as a stream",
            "messages:array! max_tokens:integer system:any tools:array tool_choice:object stop_sequences:array top_k:integer metadata:object" + Sampling,
            [Json, Events]),
        ("/v1/messages/count_tokens", "Anthropic", "How many tokens such a message would read",
            "messages:array! model:string system:any tools:array tool_choice:object", [Json]),
        ("/api/chat", "Ollama", "The next message of a chat",
            "model:string! messages:array tools:array format:any options:object stream:boolean think:any keep_alive:any", [Lines, Json]),
        ("/api/generate", "Ollama", "What follows a prompt",
            "model:string! prompt:string suffix:string system:string raw:boolean context:array format:any options:object stream:boolean"
            + " think:any keep_alive:any", [Lines, Json]),
        ("/api/version", "Ollama", "The version of Ollama whose API this is", "", [Json]),
        ("/api/tags", "Ollama", "The model that is served", "", [Json]),
        ("/api/ps", "Ollama", "The model, if it is loaded", "", [Json]),
        ("/api/show", "Ollama", "What there is to know of a model", "model:string!", [Json]),
        ("/api/embed", "Ollama", "Vectors of texts", "model:string! input:any! truncate:boolean dimensions:integer options:object keep_alive:any", [Json]),
        ("/api/embeddings", "Ollama", "The vector of a text", "model:string! prompt:string! options:object keep_alive:any", [Json]),
        ("/generate", "Text Generation Inference", "What follows a text", "inputs:string! parameters:object", [Json]),
        ("/generate_stream", "Text Generation Inference", "What follows a text, token by token", "inputs:string! parameters:object", [Events]),
        ("/info", "Text Generation Inference", "What the server serves", "", [Json]),
        ("/", "Text Generation Inference", "Who is there (GET), or what follows a text (POST)",
            "inputs:string! parameters:object stream:boolean", [Json, Plain, Page, Events]),
        ("/console/{file}", "LlamaCluster", "A file of the console, whose page is at /", "", ["text/javascript", "text/css", "image/svg+xml", Page]),
        ("/v1/sessions", "LlamaCluster", "Begins a session (POST), or lists them (GET)", "messages:array metadata:object ttl:integer model:string", [Json]),
        ("/v1/sessions/{session}", "LlamaCluster", "A session", "", [Json]),
        ("/v1/sessions/{session}/fork", "LlamaCluster", "Begins a session with the history of another", "turns:integer metadata:object", [Json]),
        ("/v1/sessions/{session}/export", "LlamaCluster", "All there is to a session", "", [Json]),
        ("/v1/sessions/import", "LlamaCluster", "Begins a session of what an export gave",
            "object:string! version:integer! id:string created:integer updated:integer turns_taken:integer dropped_messages:integer metadata:object"
            + " model_digest:string chat_template_kwargs:object messages:array turns:array tokens:array", [Json]),
        ("/v1/cluster", "LlamaCluster", "What the cluster is like now, once or as a stream", "", [Json, Events]),
        ("/v1/cluster/events", "LlamaCluster", "What the cluster is like, each second and at each change", "", [Events]),
        ("/v1/cluster/plan", "LlamaCluster", "What the planner says of another cluster",
            "workers:integer memory_bytes:integer quantization:string link_bytes_per_second:integer link_round_trip_microseconds:integer"
            + " tensor_parallel:integer expert_parallel:string streams:integer objective:string",
            [Json]),
        ("/tokenize", "vLLM", "The ids of a text or a chat", "prompt:string messages:array add_special_tokens:boolean model:string", [Json]),
        ("/detokenize", "vLLM", "The text of ids", "tokens:array! model:string", [Json]),
        ("/health", "LlamaCluster", "Whether the process lives", "", [Json]),
        ("/v1/health", "llama.cpp", "Whether the process lives", "", [Json]),
        ("/ready", "LlamaCluster", "Whether the model is loaded on all stages", "", [Json]),
        ("/infill", "llama.cpp", "The text between two others, whole or as a stream",
            "input_prefix:string! input_suffix:string! input_extra:array prompt:string n_predict:integer stop:any seed:integer" + Sampling, [Json, Events]),
        ("/props", "llama.cpp", "How long a conversation may get", "", [Json]),
    ];

    public Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "LlamaCluster",
            Version = "1",
            Description = "One model, served over several machines, in the APIs of OpenAI, Anthropic, Ollama and Text Generation Inference.",
        };
        document.Paths = [];
        foreach (var (address, of, summary, fields, answers) in Known)
        {
            var operations = MethodsOf(address).ToDictionary(method => method, method => Describe(method, address, of, summary, fields, answers));
            if (operations.Count > 0) document.Paths.Add(address, new OpenApiPathItem { Operations = operations });
        }
        if (keys.AreOn) AskForKey(document);
        return Task.CompletedTask;
    }

    /// <summary>Tells readers how a key is shown.</summary>
    static void AskForKey(OpenApiDocument document)
    {
        const string name = "key";
        document.AddComponent(name, new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = "bearer",
            Description = "A key of `llamacluster keys add`",
        });
        document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(name, document)] = [] }];
    }

    IEnumerable<HttpMethod> MethodsOf(string address) => endpoints.Endpoints.OfType<RouteEndpoint>()
        .Where(endpoint => endpoint.RoutePattern.RawText?.Replace("**", "") == address)
        .SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
        .Where(method => method != "HEAD").Distinct().Select(method => HttpMethod.Parse(method));

    static OpenApiOperation Describe(HttpMethod method, string address, string of, string summary, string fields, string[] answers) => new()
    {
        Summary = summary,
        OperationId = $"{method.Method.ToLowerInvariant()}{address.Replace('/', '_').Replace("{", "").Replace("}", "")}",
        Tags = new HashSet<OpenApiTagReference> { new(of) },
        Parameters = NameIn(address) is { } name
            ? [new OpenApiParameter { Name = name, In = ParameterLocation.Path, Required = true, Schema = new OpenApiSchema { Type = JsonSchemaType.String } }]
            : null,
        RequestBody = method == HttpMethod.Post && fields.Length > 0
            ? new OpenApiRequestBody { Required = true, Content = Content([Json], SchemaOf(fields)) }
            : null,
        Responses = new OpenApiResponses
        {
            ["200"] = new OpenApiResponse { Description = "The answer", Content = Content(answers, null) },
            ["default"] = new OpenApiResponse { Description = "What went wrong, in the shape that clients of this API read", Content = Content([Json], null) },
        },
    };

    /// <summary>What stands in braces in an address; null: nothing does.</summary>
    static string? NameIn(string address) => address.Split('{', '}') is [_, var name, ..] ? name : null;

    static Dictionary<string, OpenApiMediaType> Content(string[] types, IOpenApiSchema? schema)
        => types.ToDictionary(type => type, _ => new OpenApiMediaType { Schema = schema });

    static OpenApiSchema SchemaOf(string fields)
    {
        var schema = new OpenApiSchema
        {
            Type = JsonSchemaType.Object,
            Properties = new Dictionary<string, IOpenApiSchema>(),
            Required = new HashSet<string>(),
        };
        foreach (var field in fields.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, type) = (field.Split(':')[0], field.Split(':')[1].TrimEnd('!'));
            schema.Properties[name] = type switch
            {
                "any" => new OpenApiSchema(),
                "array" => new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema() },
                _ => new OpenApiSchema { Type = Enum.Parse<JsonSchemaType>(type, ignoreCase: true) },
            };
            if (field.EndsWith('!')) schema.Required.Add(name);
        }
        return schema;
    }
}
