/** Painting with WebGL2: samples as an integer texture, their colours as a table beside it, both looked up in the fragment shader. */
import type { Layer, Painter } from './layer.ts';

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0), 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D; precision highp sampler2D;
uniform usampler2D samples; uniform sampler2D colours;
uniform vec4 axes; uniform float high; uniform ivec2 size; uniform bool smoothed; uniform bool tabled; uniform int shift;
out vec4 pixel;
vec3 colour(ivec2 at) {
  uvec4 value = texelFetch(samples, clamp(at, ivec2(0), size - 1), 0);
  if (tabled) return texelFetch(colours, ivec2(int(value.r & 255u), int(value.r >> 8u)), 0).rgb;
  return vec3(value.rgb >> uint(shift)) / 255.0;
}
void main() {
  vec2 here = vec2(gl_FragCoord.x, high - gl_FragCoord.y) - 0.5;
  vec2 texel = axes.xz + axes.yw * here;
  if (!smoothed) { pixel = vec4(colour(ivec2(floor(texel + 0.5))), 1.0); return; }
  vec2 low = floor(texel);
  vec2 share = texel - low;
  ivec2 at = ivec2(low);
  vec3 upper = mix(colour(at), colour(at + ivec2(1, 0)), share.x);
  vec3 under = mix(colour(at + ivec2(0, 1)), colour(at + ivec2(1, 1)), share.x);
  pixel = vec4(mix(upper, under, share.y), 1.0);
}`;

/** A painter, or nothing where WebGL2 is not there (or would be slower than a loop, unless it is `forced`). */
export function webglPainter(canvas: HTMLCanvasElement, forced: boolean, onLost: () => void): Painter | undefined {
  const gl = canvas.getContext('webgl2', { alpha: false, antialias: false, depth: false, stencil: false, failIfMajorPerformanceCaveat: !forced });
  const program = gl && build(gl);
  if (!gl || !program) return undefined;
  canvas.addEventListener('webglcontextlost', onLost, { once: true });
  return new WebglPainter(canvas, gl, program, onLost);
}

class WebglPainter implements Painter {
  readonly kind = 'webgl2';
  readonly canvas: HTMLCanvasElement;
  readonly #gl: WebGL2RenderingContext;
  readonly #onLost: () => void;
  readonly #program: WebGLProgram;
  readonly #uniforms = new Map<string, WebGLUniformLocation | null>();
  readonly #largest: number;
  #textureBytes = 0;
  /** The texture of samples that is there: pictures of one form are written into it. */
  #form = '';
  #uploaded: { bits?: ArrayLike<number>; colours?: Uint32Array } = {};

  constructor(canvas: HTMLCanvasElement, gl: WebGL2RenderingContext, program: WebGLProgram, onLost: () => void) {
    [this.canvas, this.#gl, this.#program, this.#onLost] = [canvas, gl, program, onLost];
    gl.useProgram(program);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    for (const [unit, name] of ['samples', 'colours'].entries()) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
      gl.uniform1i(this.#uniform(name), unit);
    }
    gl.clearColor(0, 0, 0, 1);
    this.#largest = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
  }

  get bytes(): number {
    return this.canvas.width * this.canvas.height * 4 + this.#textureBytes;
  }

  paint(layer: Layer | undefined): void {
    const gl = this.#gl;
    const { width, height } = this.canvas;
    gl.disable(gl.SCISSOR_TEST);
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (layer && Math.max(layer.texels.width, layer.texels.height) > this.#largest) return this.#onLost();
    if (!layer || layer.right <= layer.left || layer.bottom <= layer.top) return;
    this.#upload(layer);
    gl.uniform4f(this.#uniform('axes'), layer.across.at, layer.across.step, layer.down.at, layer.down.step);
    gl.uniform1f(this.#uniform('high'), height);
    gl.uniform2i(this.#uniform('size'), layer.texels.width, layer.texels.height);
    gl.uniform1i(this.#uniform('smoothed'), Number(layer.smooth));
    gl.uniform1i(this.#uniform('tabled'), Number(layer.colours !== undefined));
    gl.uniform1i(this.#uniform('shift'), layer.shift);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(layer.left, height - layer.bottom, layer.right - layer.left, layer.bottom - layer.top);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  pixels(): Uint8ClampedArray {
    const { width, height } = this.canvas;
    const below = new Uint8Array(width * height * 4);
    this.#gl.readPixels(0, 0, width, height, this.#gl.RGBA, this.#gl.UNSIGNED_BYTE, below);
    const out = new Uint8ClampedArray(below.length);
    for (let y = 0; y < height; y++) out.set(below.subarray((height - 1 - y) * width * 4, (height - y) * width * 4), y * width * 4);
    return out;
  }

  close(): void {
    this.canvas.removeEventListener('webglcontextlost', this.#onLost);
    this.#gl.getExtension('WEBGL_lose_context')?.loseContext();
    this.canvas.width = this.canvas.height = 0;
  }

  #upload({ texels, colours }: Layer): void {
    const gl = this.#gl;
    if (texels.bits !== this.#uploaded.bits) {
      const wide = texels.bits.BYTES_PER_ELEMENT === 2;
      const [inside, format] = texels.components >= 4 ? [wide ? gl.RGBA16UI : gl.RGBA8UI, gl.RGBA_INTEGER] : texels.components === 3 ? [wide ? gl.RGB16UI : gl.RGB8UI, gl.RGB_INTEGER] : [wide ? gl.R16UI : gl.R8UI, gl.RED_INTEGER];
      gl.activeTexture(gl.TEXTURE0);
      const type = wide ? gl.UNSIGNED_SHORT : gl.UNSIGNED_BYTE;
      const form = `${inside} ${texels.width} ${texels.height}`;
      if (form === this.#form) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, texels.width, texels.height, format, type, texels.bits);
      else gl.texImage2D(gl.TEXTURE_2D, 0, inside, texels.width, texels.height, 0, format, type, texels.bits);
      this.#form = form;
      this.#uploaded.bits = texels.bits;
      this.#textureBytes = texels.bits.byteLength + (1 << 18);
    }
    if (colours && colours !== this.#uploaded.colours) {
      gl.activeTexture(gl.TEXTURE1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, colours.length / 256, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(colours.buffer, colours.byteOffset, colours.byteLength));
      this.#uploaded.colours = colours;
    }
  }

  #uniform(name: string): WebGLUniformLocation | null {
    if (!this.#uniforms.has(name)) this.#uniforms.set(name, this.#gl.getUniformLocation(this.#program, name));
    return this.#uniforms.get(name)!;
  }
}

function build(gl: WebGL2RenderingContext): WebGLProgram | undefined {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind);
    if (!shader) return undefined;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : undefined;
}
