# Stand-ins for the vendors' tools: `tclsh vendor_tools.tcl TOOL SCRIPT` runs the script with the commands of that tool
# and no others. Each call is written to standard output, its words apart by the character 1f.
#
# What it enforces of Vivado's rules:
# - a core has the properties that the version knows (FAKE_OLD: of before 2021), and no other is set;
# - what is associated with a clock is there, and so is the clock; a clock has its reset;
# - save_core writes component.xml, of the properties, registers, and clocks of the buses; package_xo reads it, and wants a
#   kernel of type rtl for which Vivado ignores the clock's rate, the control protocol named in it, a clock for every bus
#   and a reset for the clock, and the register CTRL for ap_ctrl_hs but not for user_managed;
# - get_property gives what was set (FAKE_DIVISOR: what a preset insists on instead, for every divisor).

set tool [lindex $argv 0]
set script [lindex $argv 1]

proc note {words} {
  puts [join $words "\x1f"]
}

# A command that notes itself and returns what `result` computes from its arguments.
proc stand_in {name {result {}}} {
  namespace eval [expr {[string match *::* $name] ? [namespace qualifiers $name] : "::"}] {}
  proc ::$name args "note \[concat [list $name] \$args\]\n$result"
}

# The streams of results that the accelerator has.
proc streams {} {
  return [expr {[info exists ::env(FAKE_OUTPUTS)] ? $::env(FAKE_OUTPUTS) : "m_axis"}]
}

set hls_commands {set_top add_files set_part create_clock set_clock_uncertainty config_compile config_rtl csim_design
  csynth_design cosim_design export_design}

set known_properties {name version core_revision display_name supported_families xpm_libraries sdx_kernel sdx_kernel_type}
if {![info exists ::env(FAKE_OLD)]} {
  lappend known_properties ipi_drc vitis_drc
}

set vivado_commands {create_project close_project add_files update_compile_order update_ip_catalog
  create_bd_design apply_bd_automation connect_bd_intf_net connect_bd_net assign_bd_address validate_bd_design
  save_bd_design wait_on_run open_run report_utilization report_timing_summary current_project current_fileset
  get_cells ipx::create_xgui_files ipx::update_checksums ipx::check_integrity ipx::unload_core}

# The core that is open: its folder, properties, registers, buses, and what they are clocked by.
array set model {folder "" registers {} buses {} clocks {} reset ""}
array set settings_of {}

proc option {words name} {
  set at [lsearch -exact $words $name]
  return [expr {$at < 0 ? "" : [lindex $words $at+1]}]
}

proc set_one {name value object} {
  if {$object eq "core"} {
    if {$name ni $::known_properties} { error "set_property: a core has no property $name" }
  }
  set ::settings_of($object,$name) $value
}

proc vivado_set_property {words} {
  if {[lindex $words 0] eq "-dict"} {
    foreach {name value} [lindex $words 1] { set_one $name $value [lindex $words 2] }
  } else {
    set_one {*}$words
  }
}

proc vivado_get_property {name object} {
  if {[string match *DIVISOR* $name] && [info exists ::env(FAKE_DIVISOR)]} { return $::env(FAKE_DIVISOR) }
  if {[info exists ::settings_of($object,$name)]} { return $::settings_of($object,$name) }
  switch -glob $name {
    PROGRESS { return $::env(FAKE_PROGRESS) }
    STATUS { return "route_design ERROR" }
    SLACK { return $::env(FAKE_SLACK) }
    CONFIG.FREQ_HZ { return $::env(FAKE_FREQ_HZ) }
  }
  error "get_property: $object has no property $name"
}

proc associate {words} {
  set clock [option $words -clock]
  foreach bus [list $clock [option $words -busif] [option $words -reset]] {
    if {$bus ne "" && $bus ni $::model(buses)} { error "associate_bus_interfaces: no bus $bus" }
  }
  if {[option $words -busif] ne ""} { lappend ::model(clocks) [option $words -busif] $clock }
  if {[option $words -reset] ne ""} { set ::model(reset) [option $words -reset] }
}

proc write_component {} {
  set file [open [file join $::model(folder) component.xml] w]
  foreach {key value} [array get ::settings_of core,*] {
    puts $file [list property [string range $key 5 end] $value]
  }
  puts $file [list registers $::model(registers)]
  puts $file [list clocks $::model(clocks)]
  puts $file [list reset $::model(reset)]
  close $file
}

# What the stand-in wrote, or an HLS export: buses with clock and reset, and a register CTRL.
proc read_component {folder} {
  set file [open [file join $folder component.xml]]
  set lines [split [string trim [read $file]] "\n"]
  close $file
  set found [dict create registers CTRL clocks {s_axi_control ap_clk s_axis ap_clk} reset ap_rst_n]
  foreach stream [streams] { dict lappend found clocks $stream ap_clk }
  foreach line $lines {
    if {[lindex $line 0] eq "property"} {
      dict set found {*}[lrange $line 1 end]
    } elseif {[llength $line] == 2} {
      dict set found {*}$line
    }
  }
  return $found
}

proc vivado_package_xo {words} {
  set kernel [read_component [option $words -ip_directory]]
  set protocol [option $words -ctrl_protocol]
  set wanted [list sdx_kernel true sdx_kernel_type rtl]
  if {![info exists ::env(FAKE_OLD)]} {
    lappend wanted ipi_drc {ignore_freq_hz true} vitis_drc [list ctrl_protocol $protocol]
  }
  foreach {name value} $wanted {
    if {![dict exists $kernel $name] || [dict get $kernel $name] ne $value} { error "package_xo: $name is not $value" }
  }
  if {("CTRL" in [dict get $kernel registers]) != ($protocol eq "ap_ctrl_hs")} {
    error "package_xo: register CTRL does not go with $protocol"
  }
  foreach bus [concat s_axi_control s_axis [streams]] {
    if {![dict exists [dict get $kernel clocks] $bus]} { error "package_xo: $bus has no clock" }
  }
  if {[dict get $kernel reset] eq ""} { error "package_xo: the clock has no reset" }
}

proc last_argument {args} {
  return [lindex $args end]
}

proc vivado {} {
  foreach name $::vivado_commands {
    stand_in $name
  }
  foreach name {get_runs get_files get_bd_cells get_bd_pins get_timing_paths} {
    stand_in $name {return [lindex $args end]}
  }
  stand_in get_bd_intf_pins {
    if {[lindex $args 0] ne "-of_objects"} { return [lindex $args end] }
    regexp {MODE == (\w+) && VLNV =~ \*:(\w+):} [lindex $args end] -> mode protocol
    set streams [streams]
    if {$mode ne "Master" || [llength $streams] == 1} { return accel_0/$mode-$protocol }
    if {![regexp {NAME == (\w+)} [lindex $args end] -> name]} { return $streams }
    return [expr {$name in $streams ? "accel_0/$name" : ""}]
  }
  stand_in get_ipdefs {
    if {[string match codesign:* [lindex $args end]]} { return [string map {* 1.0} [lindex $args end]] }
    return [list [string map {* 1.9} [lindex $args end]] [string map {* 1.10} [lindex $args end]]]
  }
  stand_in create_bd_cell {return [lindex $args end]}
  stand_in make_wrapper {return accel_bd_wrapper.v}
  stand_in set_property {vivado_set_property $args}
  stand_in get_property {return [vivado_get_property {*}$args]}
  stand_in list_property {return [string toupper $::known_properties]}
  stand_in package_xo {vivado_package_xo $args}
  stand_in launch_runs {
    foreach {folder file} {design.runs/impl_1 accel_bd_wrapper.bit design.gen/sources_1/bd/accel_bd/hw_handoff accel_bd.hwh} {
      file mkdir [file join $::project $folder]
      close [open [file join $::project $folder $file] w]
    }
  }
  stand_in ipx::package_project {
    set ::model(folder) [option $args -root_dir]
    set ::model(buses) [expr {[info exists ::env(FAKE_NO_BUS)] ? {ap_clk} : [concat ap_clk s_axis [streams] s_axi_control]}]
  }
  stand_in ipx::open_core {
    set ::model(folder) [file dirname [lindex $args end]]
    foreach {key value} [read_component $::model(folder)] {
      if {$key in {registers clocks reset}} { set ::model($key) $value } else { set ::settings_of(core,$key) $value }
    }
    return core
  }
  stand_in ipx::save_core {write_component}
  stand_in ipx::current_core {return core}
  stand_in ipx::get_bus_interfaces {return [expr {[lindex $args 0] in $::model(buses) ? [lindex $args 0] : ""}]}
  stand_in ipx::infer_bus_interface {lappend ::model(buses) [lindex $args 0]}
  stand_in ipx::associate_bus_interfaces {associate $args}
  stand_in ipx::add_register {
    lappend ::model(registers) [lindex $args 0]
    return register_[lindex $args 0]
  }
  foreach name {get_memory_maps add_memory_map get_address_blocks add_address_block} {
    stand_in ipx::$name {return [expr {[info exists ::env(FAKE_NO_MAP)] && [string match *get_* [lindex [info level 0] 0]] ? "" : "x"}]}
  }
}

proc hls {commands} {
  foreach name [concat $::hls_commands $commands] {
    stand_in $name
  }
}

switch $tool {
  vivado { vivado }
  vivado_hls {
    hls {open_project open_solution}
    # The tool is recognised by its program's name.
    rename info tcl_info
    proc info args {
      if {[lindex $args 0] eq "nameofexecutable"} { return /opt/tool/vivado_hls }
      return [uplevel 1 [list tcl_info {*}$args]]
    }
  }
  vitis_hls { hls {open_project open_solution} }
  vitis_run { hls {open_component open_project open_solution} }
}

info script $script
if {[catch {source $script} message]} {
  puts stderr $message
  exit 1
}
