using System.Text.Encodings.Web;
using System.Text.Json;

namespace LlamaCluster.Coordinator.Api.Responses;

static class JsonStyle
{
    /// <summary>Text beyond ASCII as it is: no response is ever part of a web page.</summary>
    public static readonly JsonWriterOptions Writer = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
}
