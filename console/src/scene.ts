// The 3D viewer. This file is loaded when the first model is shown, because three.js is large.
import {
  AmbientLight,
  Box3,
  BufferGeometry,
  Color,
  DirectionalLight,
  Float32BufferAttribute,
  Group,
  HemisphereLight,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  type Object3D,
  OrthographicCamera,
  PerspectiveCamera,
  PlaneGeometry,
  Scene,
  SRGBColorSpace,
  Sphere,
  Texture,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";

/** Read a triangle mesh from OBJ text: positions, texture coordinates and normals of the faces' corners. */
export function readObj(text: string): BufferGeometry {
  const v: number[][] = [];
  const vt: number[][] = [];
  const vn: number[][] = [];
  const position: number[] = [];
  const uv: number[] = [];
  const normal: number[] = [];
  for (const line of text.split("\n")) {
    const [kind, ...rest] = line.trim().split(/\s+/);
    if (kind === "v") v.push(rest.map(Number));
    else if (kind === "vt") vt.push(rest.map(Number));
    else if (kind === "vn") vn.push(rest.map(Number));
    else if (kind === "f") {
      const corners = rest.map((corner) => corner.split("/").map((index) => Number(index) - 1));
      for (let index = 2; index < corners.length; index++) {
        for (const corner of [corners[0], corners[index - 1], corners[index]]) {
          const [a = 0, b = 0, c = 0] = corner ?? [];
          position.push(...(v[a] ?? [0, 0, 0]));
          uv.push(...(vt[b] ?? [0, 0]).slice(0, 2));
          normal.push(...(vn[c] ?? [0, 0, 1]));
        }
      }
    }
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new Float32BufferAttribute(position, 3));
  geometry.setAttribute("uv", new Float32BufferAttribute(uv, 2));
  geometry.setAttribute("normal", new Float32BufferAttribute(normal, 3));
  return geometry;
}

async function textureOf(source: Blob | string): Promise<Texture> {
  const blob = typeof source === "string" ? await (await fetch(source)).blob() : source;
  const texture = new Texture(await createImageBitmap(blob, { imageOrientation: "flipY" }));
  texture.flipY = false; // three.js cannot flip an ImageBitmap
  texture.colorSpace = SRGBColorSpace;
  texture.needsUpdate = true;
  return texture;
}

export type Style = "texture" | "clay";

export class Viewer {
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(30, 1, 0.001, 100);
  private readonly flat = new OrthographicCamera(-1, 1, 1, -1, 0.1, 10_000);
  private readonly controls: OrbitControls;
  private readonly watch: ResizeObserver;
  private readonly models = new Map<string, Object3D>();
  private photo: Mesh | null = null;
  private size: [number, number] = [1, 1];
  private isFlat = false;
  private isFramed = false;
  private isQueued = false;
  private style: Style = "texture";
  private wire = false;
  private opacity = 1;
  private center = new Vector3();
  private radius = 1;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true, preserveDrawingBuffer: true });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.scene.add(new HemisphereLight(0xffffff, 0x777788, 1.25), new AmbientLight(0xffffff, 0.45));
    const key = new DirectionalLight(0xffffff, 1.15);
    key.position.set(0.6, 0.8, 1.4);
    const rim = new DirectionalLight(0xbfd0ff, 0.7);
    rim.position.set(-1, 0.4, -0.6);
    this.camera.add(key, rim);
    this.scene.add(this.camera);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = false;
    this.controls.addEventListener("change", () => this.draw());
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(canvas.parentElement ?? canvas);
    this.resize();
  }

  private resize(): void {
    const box = this.canvas.parentElement ?? this.canvas;
    const { clientWidth: width, clientHeight: height } = box;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.fitFlat();
    this.draw();
  }

  private fitFlat(): void {
    const [width, height] = this.size;
    const box = this.canvas.parentElement ?? this.canvas;
    const scale = Math.max(width / (box.clientWidth || 1), height / (box.clientHeight || 1));
    const halfWidth = (scale * box.clientWidth) / 2;
    const halfHeight = (scale * box.clientHeight) / 2;
    Object.assign(this.flat, { left: -halfWidth, right: halfWidth, top: halfHeight, bottom: -halfHeight });
    this.flat.position.set(0, 0, 5000);
    this.flat.updateProjectionMatrix();
  }

  draw(): void {
    if (this.isQueued) return;
    this.isQueued = true;
    requestAnimationFrame(() => {
      this.isQueued = false;
      this.renderer.render(this.scene, this.isFlat ? this.flat : this.camera);
      this.canvas.dataset.frames = String(Number(this.canvas.dataset.frames ?? 0) + 1);
    });
  }

  private frame(): void {
    const box = new Box3();
    for (const model of this.models.values()) box.expandByObject(model);
    if (box.isEmpty()) return;
    const sphere = box.getBoundingSphere(new Sphere());
    this.center.copy(sphere.center);
    this.radius = sphere.radius;
    this.reset();
    this.isFramed = true;
  }

  /** Look at the model from the front. */
  reset(): void {
    const distance = (this.radius / Math.sin((this.camera.fov * Math.PI) / 360)) * Math.max(1, 1 / this.camera.aspect) * 0.92;
    this.camera.near = distance / 100;
    this.camera.far = distance * 10;
    this.camera.position.copy(this.center).add(new Vector3(distance * 0.22, distance * 0.06, distance * 0.97));
    this.controls.target.copy(this.center);
    this.camera.updateProjectionMatrix();
    this.controls.update();
    this.draw();
  }

  /** Turn the model by degrees, for the keyboard. */
  turn(yaw: number, pitch: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    offset.applyAxisAngle(new Vector3(0, 1, 0), (-yaw * Math.PI) / 180);
    const side = new Vector3().crossVectors(this.camera.up, offset).normalize();
    offset.applyAxisAngle(side, (-pitch * Math.PI) / 180);
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.draw();
  }

  private put(name: string, model: Object3D | null, frame: boolean): void {
    const old = this.models.get(name);
    if (old) {
      this.scene.remove(old);
      old.traverse((each) => each instanceof Mesh && each.geometry.dispose());
    }
    this.models.delete(name);
    if (model) {
      this.models.set(name, model);
      this.scene.add(model);
    }
    if (frame || !this.isFramed) this.frame();
    this.restyle();
  }

  /** Show the mesh of an OBJ file with its texture. */
  async showObj(obj: string, texture: Blob | string | null): Promise<void> {
    const map = texture ? await textureOf(texture) : null;
    const mesh = new Mesh(readObj(obj), new MeshStandardMaterial({ map, roughness: 0.85, metalness: 0 }));
    const group = new Group();
    group.add(mesh);
    this.put("model", group, true);
  }

  /** Show a GLB file. It replaces a file with the same ``name``. The camera stays unless ``frame`` is true. */
  async showGlb(data: ArrayBuffer, name = "model", frame = false): Promise<void> {
    const { scene } = await new GLTFLoader().parseAsync(data, "");
    this.put(name, scene, frame);
  }

  hide(name: string): void {
    this.put(name, null, false);
  }

  /** Set the weight of a blend shape in all meshes that have it. */
  setMorph(name: string, weight: number): void {
    for (const model of this.models.values()) {
      model.traverse((each) => {
        if (!(each instanceof Mesh)) return;
        const index = each.morphTargetDictionary?.[name];
        if (index !== undefined && each.morphTargetInfluences) each.morphTargetInfluences[index] = weight;
      });
    }
    this.draw();
  }

  morphs(): string[] {
    const names = new Set<string>();
    for (const model of this.models.values()) {
      model.traverse((each) => {
        if (each instanceof Mesh) for (const name of Object.keys(each.morphTargetDictionary ?? {})) names.add(name);
      });
    }
    return [...names];
  }

  setStyle(style: Style, wire: boolean): void {
    this.style = style;
    this.wire = wire;
    this.restyle();
  }

  private restyle(): void {
    for (const model of this.models.values()) {
      model.traverse((each) => {
        if (!(each instanceof Mesh)) return;
        each.userData.own ??= each.material;
        const own = each.userData.own as MeshStandardMaterial;
        const shown = own.clone();
        if (this.style === "clay") {
          shown.map = null;
          shown.color = new Color(0xc9c4be);
        }
        shown.wireframe = this.wire;
        if (this.isFlat) {
          const flat = new MeshBasicMaterial({ map: shown.map, color: shown.map ? 0xffffff : 0x6f8cff, wireframe: this.wire });
          flat.transparent = this.opacity < 1;
          flat.opacity = this.opacity;
          each.material = flat;
        } else {
          each.material = shown;
        }
      });
    }
    this.draw();
  }

  /** Show the model over a photo. ``matrix`` has 16 numbers, row by row, as Face++ returns it. */
  async overlay(photo: Blob, matrix: readonly number[]): Promise<void> {
    const map = await textureOf(photo);
    const image = map.image as ImageBitmap;
    this.size = [image.width, image.height];
    if (this.photo) this.scene.remove(this.photo);
    this.photo = new Mesh(new PlaneGeometry(image.width, image.height), new MeshBasicMaterial({ map, depthWrite: false }));
    this.photo.position.z = -4000;
    this.photo.renderOrder = -1;
    this.scene.add(this.photo);
    this.isFlat = true;
    this.controls.enabled = false;
    const model = this.models.get("model");
    if (model) {
      model.matrixAutoUpdate = false;
      model.matrix = new Matrix4().set(...(matrix as unknown as Parameters<Matrix4["set"]>));
      model.matrixWorldNeedsUpdate = true;
    }
    this.fitFlat();
    this.restyle();
  }

  /** Show the model without the photo again. */
  alone(): void {
    if (!this.isFlat) return;
    this.isFlat = false;
    this.controls.enabled = true;
    if (this.photo) this.scene.remove(this.photo);
    this.photo = null;
    const model = this.models.get("model");
    if (model) {
      model.matrix.identity();
      model.matrixAutoUpdate = true;
      model.matrixWorldNeedsUpdate = true;
    }
    this.restyle();
  }

  setOpacity(opacity: number): void {
    this.opacity = opacity;
    this.restyle();
  }

  dispose(): void {
    this.watch.disconnect();
    this.controls.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
