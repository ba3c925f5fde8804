using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>A whole response of one JSON value.</summary>
static class JsonResponse
{
    public static async Task WriteAsync(HttpResponse response, int status, Action<Utf8JsonWriter> write)
    {
        response.StatusCode = status;
        response.ContentType = "application/json";
        await using (var json = new Utf8JsonWriter(response.BodyWriter, JsonStyle.Writer)) write(json);
        await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted);
    }

    /// <summary>A value that is sent part by part: no more of it is held than one part.</summary>
    public static async Task WritePartsAsync(HttpResponse response, int status, IEnumerable<Action<Utf8JsonWriter>> parts)
    {
        response.StatusCode = status;
        response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(response.BodyWriter, JsonStyle.Writer);
        foreach (var part in parts)
        {
            part(json);
            json.Flush();
            await response.BodyWriter.FlushAsync(response.HttpContext.RequestAborted);
        }
    }

    /// <summary>An error, in the shape that clients of the address read.</summary>
    public static Task WriteAsync(HttpResponse response, ApiError error)
    {
        if (error.RetryAfter is { } wait) response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString();
        var shape = ErrorShapes.Of(response.HttpContext.Request);
        return WriteAsync(response, error.Status, json => shape.Write(json, error, response.HttpContext.TraceIdentifier));
    }
}

static class JsonStyle
{
    /// <summary>Text beyond ASCII as it is: no response is ever part of a web page.</summary>
    public static readonly JsonWriterOptions Writer = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
}
